//! One step of an optimizer, in one pass over parameter, gradient and moments. Knows nothing of layers or
//! schedules. The formulas are those of `PyTorch`'s SGD and `AdamW`, with coefficients computed in binary64
//! and rounded once. A moment of magnitude below 2⁻¹⁰⁰ becomes 0, so that no moment is subnormal.

use rayon::prelude::*;

use crate::backend::own::kernels::lanes::vectorized;
use crate::network::array::Array;
use crate::training::config::Optimizer;
use crate::training::state::TrainingState;

/// Numbers per unit of parallel work. The size does not depend on the number of threads.
const BLOCK: usize = 1 << 13;

const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f32 = 1e-8;

/// Least magnitude of a nonzero moment; a smaller moment becomes 0.
const LEAST_MOMENT: f32 = 1.0 / (1_u128 << 100) as f32;

/// Updates every parameter and its moments from the gradient of the parameter. `step` counts from 1 over the
/// whole training; `factor` is the factor of the learning rate schedule.
pub(crate) fn step(
    optimizer: Optimizer,
    factor: f64,
    step: usize,
    state: &mut TrainingState,
    gradients: &[Vec<f32>],
) {
    let (mut first, mut second) = (state.first.iter_mut(), state.second.iter_mut());
    for (parameter, gradient) in state.parameters.iter_mut().zip(gradients) {
        let parameter = parameter.numbers_mut();
        let (first, second) = (first.next().map(Array::numbers_mut), second.next().map(Array::numbers_mut));
        match (optimizer, first, second) {
            (Optimizer::Sgd { lr, momentum }, Some(velocity), _) => {
                let rates = [(lr * factor) as f32, momentum as f32];
                sgd_with_momentum(rates, parameter, gradient, velocity);
            }
            (Optimizer::Sgd { lr, .. }, None, _) => sgd((lr * factor) as f32, parameter, gradient),
            (Optimizer::AdamW { lr, weight_decay }, Some(first), Some(second)) => {
                AdamW::at(lr * factor, weight_decay, step).apply(parameter, gradient, first, second);
            }
            // The state of `AdamW` has both moments.
            (Optimizer::AdamW { .. }, _, _) => {}
        }
    }
}

/// Applies w ← w − lr·g.
fn sgd(lr: f32, w: &mut [f32], g: &[f32]) {
    w.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK)).for_each(|(w, g)| {
        w.iter_mut().zip(g).for_each(|(w, g)| *w -= lr * g);
    });
}

/// Applies v ← momentum·v + g, w ← w − lr·v. `PyTorch` sets v to g in the first step; v = 0 before the first
/// step gives the same v.
fn sgd_with_momentum([lr, momentum]: [f32; 2], w: &mut [f32], g: &[f32], v: &mut [f32]) {
    w.par_chunks_mut(BLOCK).zip(v.par_chunks_mut(BLOCK)).zip(g.par_chunks(BLOCK)).for_each(|((w, v), g)| {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = normal(momentum * *v + g);
            *w -= lr * *v;
        }
    });
}

/// A contiguous part of a parameter or a moment.
type ParameterPart<'a> = &'a mut [f32];

/// The coefficients of one step of `AdamW`.
struct AdamW {
    keep: f32,
    first: f32,
    second: f32,
    /// Learning rate divided by the bias correction of the first moment.
    rate: f32,
    /// One divided by the square root of the bias correction of the second moment.
    root: f32,
}

impl AdamW {
    fn at(lr: f64, weight_decay: f64, step: usize) -> Self {
        let corrections = BETAS.map(|beta| 1.0 - libm::pow(beta, step as f64));
        Self {
            keep: (1.0 - lr * weight_decay) as f32,
            first: (1.0 - BETAS[0]) as f32,
            second: (1.0 - BETAS[1]) as f32,
            rate: (lr / corrections[0]) as f32,
            root: (1.0 / corrections[1].sqrt()) as f32,
        }
    }

    fn apply(&self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let moments = m.par_chunks_mut(BLOCK).zip(v.par_chunks_mut(BLOCK));
        w.par_chunks_mut(BLOCK).zip(moments).zip(g.par_chunks(BLOCK)).for_each(|block| {
            vectorized(
                block,
                #[inline(always)]
                |((w, (m, v)), g): ((ParameterPart, (ParameterPart, ParameterPart)), &[f32])| {
                    for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                        *m = normal(*m + (g - *m) * self.first);
                        *v = normal(*v + (g * g - *v) * self.second);
                        *w = *w * self.keep - self.rate * *m / (v.sqrt() * self.root + EPS);
                    }
                },
            );
        });
    }
}

#[inline(always)]
fn normal(moment: f32) -> f32 {
    if moment.abs() < LEAST_MOMENT { 0.0 } else { moment }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::architecture::{Architecture, LayerSpec};
    use crate::network::definition::Network;
    use crate::training::config::Init;

    const GRADIENTS: [[f32; 3]; 3] = [[0.5, -2.0, 1e-3], [0.25, 1.0, -3.0], [-1.0, 0.5, 0.125]];

    fn three_weights(optimizer: Optimizer) -> TrainingState {
        let layers = vec![LayerSpec::Flatten, LayerSpec::Linear { out: 1, bias: false, name: None }];
        let network = Network::resolve(&Architecture::Layers(layers), [1, 1, 3], 1).unwrap();
        let mut state = TrainingState::new(&network, Init::KaimingUniform, optimizer, 0);
        state.parameters[0].numbers_mut().copy_from_slice(&[1.0, -0.5, 0.25]);
        state
    }

    /// The expected numbers come from `PyTorch`'s documented formulas in `NumPy` 2.4 at binary64, not from
    /// `PyTorch` itself: w −= lr·wd·w; m = β₁m + (1−β₁)g; v = β₂v + (1−β₂)g²; w −= lr·(m/(1−β₁ᵗ)) /
    /// (√(v/(1−β₂ᵗ)) + eps), and for SGD v = momentum·v + g (first v = g); w −= lr·v.
    #[test]
    fn three_steps_meet_the_formulas() {
        let check = |optimizer: Optimizer, expected: [[f32; 3]; 3]| {
            let mut state = three_weights(optimizer);
            for (at, (gradient, expected)) in GRADIENTS.iter().zip(expected).enumerate() {
                step(optimizer, 1.0, at + 1, &mut state, &[gradient.to_vec()]);
                let found = state.parameters[0].numbers();
                assert!(
                    found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-7),
                    "{optimizer:?} {at} {found:?}"
                );
            }
        };
        check(
            Optimizer::Sgd { lr: 0.1, momentum: 0.0 },
            [[0.95, -0.3, 0.2499], [0.925, -0.4, 0.5499], [1.025, -0.45, 0.5374]],
        );
        check(
            Optimizer::Sgd { lr: 0.1, momentum: 0.9 },
            [[0.95, -0.3, 0.2499], [0.88, -0.22, 0.549_81], [0.917, -0.198, 0.807_229]],
        );
        check(
            Optimizer::AdamW { lr: 0.01, weight_decay: 0.1 },
            [
                [0.989, -0.4895, 0.239_750_1],
                [0.978_689_2, -0.486_347_13, 0.246_949_5],
                [0.979_774_1, -0.485_246_9, 0.252_181_94],
            ],
        );
    }

    #[test]
    fn no_moment_becomes_subnormal() {
        for optimizer in
            [Optimizer::Sgd { lr: 0.1, momentum: 0.5 }, Optimizer::AdamW { lr: 0.1, weight_decay: 0.0 }]
        {
            let mut state = three_weights(optimizer);
            for at in 0..2000 {
                let gradient = if at == 0 { [1e-20, -1e-20, 1.0] } else { [0.0; 3] };
                step(optimizer, 1.0, at + 1, &mut state, &[gradient.to_vec()]);
                for moment in state.first.iter().chain(&state.second) {
                    assert!(moment.numbers().iter().all(|number| *number == 0.0 || number.is_normal()));
                }
            }
        }
    }
}
