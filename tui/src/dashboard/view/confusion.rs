//! The counts of a confusion matrix as cells of text, coloured by the share of each true class's images.
//! Knows no task.

use ratatui::text::{Line, Span};

use crate::dashboard::paint::{line, pad, shorten, width};
use crate::dashboard::theme::Theme;
use crate::figure::confusion::ConfusionCounts;
use crate::ui::plain::printable;

/// The most cells of a name in front of a row, and the fewest above a column.
const NAME: usize = 12;
const SHORT: usize = 4;

/// The most classes: a terminal has no room for more.
const MOST: usize = 48;

/// Returns the counts as lines: the given classes, then a line per true class.
pub fn cells(counts: &ConfusionCounts<'_>, theme: Theme) -> Vec<Line<'static>> {
    if counts.rows.len() > MOST {
        let text = format!("  {} classes; at most {MOST} are shown here", counts.rows.len());
        return vec![Line::from(text).style(theme.dim())];
    }
    let short = |name: &str, most| shorten(&printable(name), most, theme);
    let texts: Vec<Vec<String>> =
        counts.rows.iter().map(|(_, row)| row.iter().map(f64::to_string).collect()).collect();
    let room = counts.rows.iter().map(|(name, _)| width(&short(name, NAME))).max().unwrap_or(0);
    let cell = texts.iter().flatten().map(|text| width(text)).max().unwrap_or(0).max(room.min(SHORT));
    let blank = Span::raw(" ".repeat(room + 3));
    let given = counts.given.iter().map(|name| {
        let name = pad(&short(name, cell), cell, true);
        Span::styled(format!("{name}  "), theme.dim())
    });
    let mut lines = vec![line([blank].into_iter().chain(given))];
    for (class, ((name, _), row)) in counts.rows.iter().zip(texts).enumerate() {
        let name = Span::styled(format!("  {} ", pad(&short(name, NAME), room, false)), theme.dim());
        let cells = row.into_iter().enumerate().map(|(given, count)| {
            let share = counts.share(class, given);
            Span::styled(format!("{}{} ", theme.level(share), pad(&count, cell, true)), theme.heat(share))
        });
        lines.push(line([name].into_iter().chain(cells)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(given: &[&str], rows: Vec<(&str, &[f64])>) -> Vec<String> {
        let given: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
        let theme = Theme::for_terminal(false, "linux", "", true);
        let lines = cells(&ConfusionCounts { given: &given, rows }, theme);
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn cells_have_the_level_of_their_share() {
        let found = text(
            &["automobile", "ship", "(no answer)"],
            vec![("automobile", &[120.0, 8.0, 0.0][..]), ("ship", &[0.0, 0.0, 0.0][..])],
        );
        assert_eq!(
            found,
            [
                "             au~e  ship  (n~)  ",
                "  automobile 7 120 0   8 0   0 ",
                "  ship       0   0 0   0 0   0 ",
            ]
        );
    }

    #[test]
    fn too_many_classes_are_a_sentence() {
        let names: Vec<String> = (0..49).map(|class| class.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = names.iter().map(|name| (*name, &[0.0; 49][..])).collect();
        assert_eq!(text(&names, rows), ["  49 classes; at most 48 are shown here"]);
    }
}
