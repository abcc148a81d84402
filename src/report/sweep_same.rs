//! Points of a sweep that make no difference: what an axis can be set to without a replica more or less at any instant.

use crate::study::SweepOutcome;
use std::collections::HashMap;
use std::fmt::Write;

/// Lines shown; a grid may have many such points.
const LINES_SHOWN: usize = 20;

/// Values per axis; all their combinations are meant.
type Combinations<'o> = Vec<Vec<&'o str>>;

/// The points that had the same replicas at every instant with every seed, as a section of the text; empty without any.
/// `axes` are the names to show.
pub(super) fn same_points_text(outcome: &SweepOutcome, axes: &[String]) -> String {
    let points: Vec<SamePoint> = outcome.points.iter().map(|own| (&own.values[..], own.same_as)).collect();
    text_of(&points, axes)
}

/// The values of a point, and the position of the first one that it is the same as.
type SamePoint<'o> = (&'o [String], usize);

fn text_of(points: &[SamePoint<'_>], axes: &[String]) -> String {
    let mut lines = Vec::new();
    let mut of_one_axis: Vec<(OneAxis, Vec<&str>)> = Vec::new();
    let mut others = Vec::new();
    let same = same_points(points);
    for points in &same {
        let combinations = combined(points, axes.len());
        match one_axis(&combinations) {
            Some((alone, at)) => match of_one_axis.iter_mut().find(|(known, _)| *known == alone) {
                Some((_, all)) => all.push(at),
                None => of_one_axis.push((alone, vec![at])),
            },
            None => others.push(combinations),
        }
    }
    for ((axis, values), at) in of_one_axis {
        let of = if at.len() == 1 { format!("at {} {}", axes[1 - axis], at[0]) } else { each(&axes[1 - axis], &at) };
        lines.push(format!("  {} {} {of}", axes[axis], values.join(", ")));
    }
    for combinations in others {
        let mut sign = "  ";
        for own in combinations {
            lines.push(format!("{sign}{}", named(&own, axes)));
            sign = "  = ";
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(LINES_SHOWN);
    lines.truncate(LINES_SHOWN);
    let mut text =
        "\nno difference on this traffic: the same replicas at every instant, so the same requests\n".to_owned();
    text.push_str(&lines.join("\n"));
    text.push('\n');
    if more > 0 {
        let _ = writeln!(text, "  ... and {more} more lines");
    }
    text
}

/// Which of two axes makes no difference, among which of its values.
type OneAxis<'o> = (usize, Vec<&'o str>);

/// Of two axes the one that makes no difference at a value of the other one.
fn one_axis<'o>(combinations: &[Combinations<'o>]) -> Option<(OneAxis<'o>, &'o str)> {
    match combinations {
        [own] => match &own[..] {
            [at, values] if at.len() == 1 => Some(((1, values.clone()), at[0])),
            [values, at] if at.len() == 1 => Some(((0, values.clone()), at[0])),
            _ => None,
        },
        _ => None,
    }
}

fn each(axis: &str, values: &[&str]) -> String {
    format!("for each {axis} of {}", values.join(", "))
}

/// The values of points that are the same, two of them or more together, in grid order.
fn same_points<'o>(points: &[SamePoint<'o>]) -> Vec<Vec<Vec<&'o str>>> {
    let mut places: HashMap<Vec<&[String]>, usize> = HashMap::new();
    let mut together: Vec<Vec<Vec<&str>>> = Vec::new();
    for seeds in points.chunk_by(|left, right| left.0 == right.0) {
        let firsts = seeds.iter().map(|own| points[own.1].0).collect();
        let place = *places.entry(firsts).or_insert_with(|| {
            together.push(Vec::new());
            together.len() - 1
        });
        together[place].push(seeds[0].0.iter().map(String::as_str).collect());
    }
    together.retain(|points| points.len() > 1);
    together
}

/// `points`, of so many axes, as few combinations of values.
fn combined<'o>(points: &[Vec<&'o str>], axes: usize) -> Vec<Combinations<'o>> {
    if axes == 0 {
        return vec![Vec::new()];
    }
    // By value of the first axis, those first that have the same rest.
    let mut by_rest: Vec<(Vec<Combinations>, Vec<&str>)> = Vec::new();
    for of_value in points.chunk_by(|left, right| left[0] == right[0]) {
        let rest: Vec<Vec<&str>> = of_value.iter().map(|point| point[1..].to_vec()).collect();
        let rest = combined(&rest, axes - 1);
        match by_rest.iter_mut().find(|(known, _)| *known == rest) {
            Some((_, values)) => values.push(of_value[0][0]),
            None => by_rest.push((rest, vec![of_value[0][0]])),
        }
    }
    let with_values = |(rest, values): (Vec<Combinations<'o>>, Vec<&'o str>)| {
        rest.into_iter().map(move |rest| std::iter::once(values.clone()).chain(rest).collect())
    };
    by_rest.into_iter().flat_map(with_values).collect()
}

fn named(combinations: &Combinations<'_>, axes: &[String]) -> String {
    let named = axes.iter().zip(combinations).map(|(axis, values)| format!("{axis} {}", values.join(", ")));
    named.collect::<Vec<_>>().join(" with ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text for points of two axes, each with the position of the one that it is the same as.
    fn told(points: &[(&str, &str, usize)]) -> String {
        let values: Vec<Vec<String>> =
            points.iter().map(|(threshold, window, _)| vec![(*threshold).to_owned(), (*window).to_owned()]).collect();
        let points: Vec<SamePoint> = values.iter().zip(points).map(|(values, own)| (&values[..], own.2)).collect();
        text_of(&points, &["threshold".to_owned(), "window".to_owned()])
    }

    #[test]
    fn an_axis_without_effect_is_told_with_the_values_at_which_it_has_none() {
        let alike = [("3", "0", 0), ("3", "15", 0), ("3", "60", 2), ("4", "0", 3), ("4", "15", 3), ("4", "60", 5)];
        assert!(told(&alike).ends_with("requests\n  window 0, 15 for each threshold of 3, 4\n"), "{}", told(&alike));
        let once = [("3", "0", 0), ("3", "15", 1), ("4", "0", 0), ("4", "15", 3)];
        assert!(told(&once).ends_with("requests\n  threshold 3, 4 at window 0\n"), "{}", told(&once));
    }

    #[test]
    fn points_that_differ_in_both_are_told_as_few_combinations() {
        let square = [("1", "a", 0), ("1", "b", 0), ("2", "a", 0), ("2", "b", 0), ("3", "a", 4), ("3", "b", 0)];
        let expected = "requests\n  threshold 1, 2 with window a, b\n  = threshold 3 with window b\n";
        assert!(told(&square).ends_with(expected), "{}", told(&square));
    }

    #[test]
    fn seeds_must_agree_and_nothing_is_told_of_points_that_all_differ() {
        // Two seeds of each point: the second seed tells the windows apart.
        let seeds = [("3", "0", 0), ("3", "0", 1), ("3", "15", 0), ("3", "15", 3)];
        assert_eq!(told(&seeds), "");
        let agree = [("3", "0", 0), ("3", "0", 1), ("3", "15", 0), ("3", "15", 1)];
        assert!(told(&agree).ends_with("  window 0, 15 at threshold 3\n"), "{}", told(&agree));
    }

    #[test]
    fn many_lines_are_cut() {
        let points: Vec<(String, usize)> = (0..60).map(|index| (format!("{}", index / 3), index - index % 3)).collect();
        let windows = ["a", "b", "c"];
        let points: Vec<(&str, &str, usize)> = points
            .iter()
            .enumerate()
            .map(|(index, (threshold, first))| (threshold.as_str(), windows[index % 3], *first))
            .collect();
        assert_eq!(told(&points).lines().filter(|line| line.starts_with("  ")).count(), 1);
        let alone: Vec<(String, String, usize)> =
            (0..60).map(|index| (index.to_string(), index.to_string(), index - index % 2)).collect();
        let alone: Vec<(&str, &str, usize)> = alone.iter().map(|own| (own.0.as_str(), own.1.as_str(), own.2)).collect();
        assert!(told(&alone).ends_with("  ... and 40 more lines\n"), "{}", told(&alone));
    }
}
