//! The error of a mean over networks and images at once, both random samples: every network is evaluated on every
//! image.
//! The random-effects analysis of readers and cases (Dorfman, Berbaum and Metz 1992) with Hillis's degrees of freedom
//! (2007); networks are the readers. Knows nothing of tables.

use super::estimate::{Error, mean};

/// Returns the error of the mean of all scores. `scores` has one list per network, all over the same images. `None`
/// for fewer than two networks or two images.
#[must_use]
pub fn both(scores: &[Vec<f64>]) -> Option<Error> {
    let (n, m) = (scores.len(), scores.first()?.len());
    if n < 2 || m < 2 {
        return None;
    }
    let networks: Vec<f64> = scores.iter().filter_map(|scores| mean(scores)).collect();
    let images = over_networks(scores);
    let all = mean(&networks)?;
    let squares = |means: &[f64]| means.iter().map(|mean| (mean - all).powi(2)).sum::<f64>();
    let of_networks = m as f64 * squares(&networks) / (n - 1) as f64;
    let of_images = n as f64 * squares(&images) / (m - 1) as f64;
    let rest: f64 = scores
        .iter()
        .zip(&networks)
        .map(|(scores, network)| {
            let terms = scores.iter().zip(&images);
            terms.map(|(score, image)| (score - network - image + all).powi(2)).sum::<f64>()
        })
        .sum();
    let rest = rest / ((n - 1) * (m - 1)) as f64;
    // Images add their variance beyond the residual; a negative variance estimate counts as zero.
    let total = of_networks + (of_images - rest).max(0.0);
    if total == 0.0 {
        return Some(Error { size: 0.0, freedom: (n - 1) as f64 });
    }
    // If the networks do not differ, this is infinite: only the images vary, and their degrees of freedom are the
    // limit.
    let freedom = (total / of_networks).powi(2) * (n - 1) as f64;
    let freedom = freedom.min((m - 1).max(n - 1) as f64);
    Some(Error { size: (total / (n * m) as f64).sqrt(), freedom })
}

/// Returns each image's mean over the networks.
fn over_networks(scores: &[Vec<f64>]) -> Vec<f64> {
    let m = scores.first().map_or(0, Vec::len);
    let mut sums = vec![0.0; m];
    for scores in scores {
        for (sum, score) in sums.iter_mut().zip(scores) {
            *sum += score;
        }
    }
    sums.into_iter().map(|sum| sum / scores.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [[u8; 8]; 3] =
        [[0, 0, 1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0, 1]];

    /// Mean squares from statsmodels 0.15.0, `anova_lm(ols("y ~ C(s) + C(i)"))`: networks 0.291667, images 0.232143,
    /// residual 0.196429; the interval from them with scipy 1.17.1's `t.ppf(0.975, 2.51978…)`.
    #[test]
    fn the_error_is_that_of_an_analysis_of_variance() {
        let scores: Vec<Vec<f64>> =
            SCORES.iter().map(|row| row.iter().map(|bit| f64::from(*bit)).collect()).collect();
        let error = both(&scores).unwrap();
        assert!((error.size.powi(2) - 0.013_640_873_015_873_018).abs() < 1e-12, "{error:?}");
        assert!((error.freedom - 2.519_783_423_573_512_6).abs() < 1e-9, "{error:?}");
        assert!((error.half_width() - 0.415_162_881_602_866_63).abs() < 1e-9, "{error:?}");
        assert_eq!(both(&scores[..1]), None);
    }
}
