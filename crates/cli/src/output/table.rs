//! Columns that line up.

use std::io::{self, Write};

/// A column of a [`Table`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    optional: bool,
}

impl Column {
    /// Text.
    pub(crate) fn left(title: &'static str) -> Column {
        Column { title, right: false, optional: false }
    }

    /// Numbers.
    pub(crate) fn right(title: &'static str) -> Column {
        Column { title, right: true, optional: false }
    }

    /// Left out if nothing is in it: only empty cells, `0` and `-`.
    pub(crate) fn optional(self) -> Column {
        Column { optional: true, ..self }
    }
}

/// Rows of text under titles.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Prints titles and rows, each line after `indent`, no spaces at the ends of lines.
    pub(crate) fn print(&self, out: &mut dyn Write, indent: &str) -> io::Result<()> {
        let titles: Vec<_> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let shown: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(nth, column)| {
                !column.optional || self.rows.iter().any(|row| !is_nothing(cell(row, *nth)))
            })
            .map(|(nth, column)| {
                let cells = self.rows.iter().chain([&titles]).map(|row| width(cell(row, nth)));
                (nth, column, cells.max().unwrap_or(0))
            })
            .collect();
        for row in [&titles].into_iter().chain(&self.rows) {
            let mut line = indent.to_owned();
            for (place, (nth, column, wide)) in shown.iter().enumerate() {
                let text = cell(row, *nth);
                let padding = " ".repeat(wide - width(text));
                let gap = if place == 0 { "" } else { "  " };
                line.extend(if column.right { [gap, &padding, text] } else { [gap, text, &padding] });
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn cell(row: &[String], nth: usize) -> &str {
    row.get(nth).map_or("", String::as_str)
}

fn is_nothing(cell: &str) -> bool {
    matches!(cell, "" | "0" | "-")
}

/// Columns of a terminal, near enough: names of traces are ASCII in practice.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(table: &Table) -> String {
        let mut out = Vec::new();
        table.print(&mut out, "  ").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([Column::left("NAME"), Column::right("BYTES"), Column::left("NOTE")]);
        table.row(["cpu_0".into(), "4096".into(), "x".into()]);
        table.row(["ü".into(), "123456".into()]);
        assert_eq!(printed(&table), "  NAME    BYTES  NOTE\n  cpu_0    4096  x\n  ü      123456\n");
    }

    #[test]
    fn optional_columns_without_content_are_left_out() {
        let mut table = Table::new([
            Column::left("NAME"),
            Column::right("LOST").optional(),
            Column::right("N").optional(),
        ]);
        table.row(["a".into(), "0".into(), "0".into()]);
        table.row(["b".into(), "-".into(), "7".into()]);
        assert_eq!(printed(&table), "  NAME  N\n  a     0\n  b     7\n");
    }
}
