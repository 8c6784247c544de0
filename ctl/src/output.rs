//! What is printed: tables for people, fields separated by tabs for programs.

use std::io::{self, IsTerminal as _, Write as _};

/// Between two columns of a table.
const GAP: &str = "  ";

/// Prints a text.
///
/// # Errors
/// The system's; nobody who reads any more is none.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Texts, one a line.
pub fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{text}\n")).collect()
}

/// Rows under a head, in columns on a terminal; without the head and with tabs elsewhere.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    match io::stdout().is_terminal() {
        true => columns(head, rows),
        false => lines(&rows.iter().map(|row| row.join("\t")).collect::<Vec<_>>()),
    }
}

fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|text| (*text).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = all().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in all() {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        text += cells.join(GAP).trim_end();
        text.push('\n');
    }
    text
}

/// A text of others, without what a terminal would obey.
pub fn harmless(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [vec!["1".to_owned(), "é".to_owned(), "x".to_owned()]];
        let text = columns(&["ID", "NAME", "C"], &rows);
        assert_eq!(text, "ID  NAME  C\n1   é     x\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        assert_eq!(harmless("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
