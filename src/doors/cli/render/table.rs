//! Tables as kubectl prints them: capitals above, blanks between, nothing else. (Twenty lines; a crate for boxes and wrapping would
//! have to be told to do none of it, and where colours are.)

use crate::doors::cli::paint;

/// Blanks between two columns.
const GAP: usize = 2;

/// A table under construction. Cells may be painted.
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Columns {
        Columns { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is nothing below the headings.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as text, each line ending with a newline.
    pub(crate) fn render(&self) -> String {
        let n_columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| paint::width(cell)).max();
        let widths: Vec<usize> = (0..n_columns).map(|column| widest(column).unwrap_or(0) + GAP).collect();
        let mut text = String::new();
        for row in &self.rows {
            let line: String = row.iter().zip(&widths).map(|(cell, width)| paint::pad(cell, *width)).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_painted() {
        let mut columns = Columns::new(&["NODE", "STATE", "UP"]);
        columns.row(vec!["n1".into(), paint::green("ready"), "1 s".into()]);
        columns.row(vec!["node2".into(), paint::red("absent"), String::new()]);
        insta::assert_snapshot!(paint::plain(&columns.render()), @r"
        NODE   STATE   UP
        n1     ready   1 s
        node2  absent
        ");
    }
}
