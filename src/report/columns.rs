//! Cells of text as columns: each as wide as its widest cell, two spaces between them.

use std::fmt::Write as _;

/// On which side a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// At its left edge.
    Left,
    /// At its right edge.
    Right,
}

/// `rows` as lines that begin with `lead`; `side` says where the cells of a column stand.
pub(super) fn columns(rows: &[Vec<String>], lead: &str, side: impl Fn(usize) -> Side) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = lead.to_owned();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let written = match side(column) {
                Side::Left => write!(line, "{gap}{cell:<width$}"),
                Side::Right => write!(line, "{gap}{cell:>width$}"),
            };
            written.expect("writing to a text does not fail");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_as_wide_as_its_widest_cell() {
        let rows = [["a", "\u{d7}1", "b"], ["long", "22", ""]].map(|row| row.map(str::to_owned).to_vec());
        let first_left = |column: usize| if column == 0 { Side::Left } else { Side::Right };
        assert_eq!(columns(&rows, "  ", first_left), "  a     \u{d7}1  b\n  long  22\n");
        assert_eq!(columns(&rows, "", |_| Side::Right), "   a  \u{d7}1  b\nlong  22\n");
        assert_eq!(columns(&[], "  ", first_left), "");
    }
}
