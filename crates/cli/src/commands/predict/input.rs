//! Input without a table: one text per line.

use std::io::{self, BufRead, IsTerminal};

use super::PredictArgs;
use crate::error::CliError;

/// Number of lines to predict together: enough to fill batches, few enough to respond quickly.
pub(super) const LINES_AT_ONCE: usize = 1024;

/// Returns an error for table flags if there is no table.
pub(super) fn of_table(args: &PredictArgs) -> Result<(), CliError> {
    let flags = [
        ("--output", args.output.is_some()),
        ("--output-format", args.output_format.is_some()),
        ("--text-column", args.text_column.is_some()),
        ("--text-pair-column", args.text_pair_column.is_some()),
        ("--header", args.header),
    ];
    let read = &args.read;
    let how = read.format.is_some()
        || read.delimiter.is_some()
        || read.quote.is_some()
        || read.escape.is_some()
        || read.no_header;
    let problem = match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => format!("{flag} is about a table, but there is none"),
        None if how => "--format, --delimiter, --quote, --escape and --no-header say how a table is read, but there is none".into(),
        None => return Ok(()),
    };
    Err(CliError::usage(
        problem,
        "name the table with --input FILE; `-` is standard input",
    ))
}

/// Returns an error instead of waiting for input if standard input is a terminal.
pub(super) fn piped() -> Result<(), CliError> {
    match io::stdin().is_terminal() {
        false => Ok(()),
        true => Err(CliError::usage(
            "there is nothing to predict",
            "give --text TEXT or --input FILE, or pipe texts in, one a line",
        )),
    }
}

/// Reads the next lines as texts, or as pairs separated by a tab; empty at the end. `number` counts lines.
pub(super) fn read_lines(
    reader: &mut impl BufRead,
    number: &mut u64,
    pairs: bool,
) -> Result<Vec<(String, Option<String>)>, CliError> {
    let mut texts = Vec::new();
    while texts.len() < LINES_AT_ONCE {
        let mut bytes = Vec::new();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|source| CliError::Stdin { source })? == 0 {
            break;
        }
        *number += 1;
        let line = *number;
        let text = String::from_utf8(bytes).map_err(|_| CliError::Line {
            line,
            problem: "is not UTF-8".into(),
            hint: "convert the text first, for example with iconv -t UTF-8".into(),
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text = if line == 1 {
            text.trim_start_matches('\u{feff}')
        } else {
            text
        };
        texts.push(match (pairs, text.split_once('\t')) {
            (false, _) => (text.to_owned(), None),
            (true, Some((first, second))) => (first.to_owned(), Some(second.to_owned())),
            (true, None) => {
                return Err(CliError::Line {
                    line,
                    problem: "holds one text, but this model was trained on pairs".into(),
                    hint: "divide the two texts by a tab, or give a table with --input FILE".into(),
                });
            }
        });
    }
    Ok(texts)
}

/// Replaces each tab, line break and other control character by a space.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_texts_without_their_ends() {
        let mut number = 0;
        let mut input: &[u8] = "\u{feff}one\r\n\ntwo\tx".as_bytes();
        let texts = read_lines(&mut input, &mut number, false).unwrap();
        let texts: Vec<_> = texts.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!((texts, number), (vec!["one", "", "two\tx"], 3));
        assert!(
            read_lines(&mut input, &mut number, false)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn lines_of_pairs_are_divided_by_a_tab() {
        let read = |text: &str| read_lines(&mut text.as_bytes(), &mut 0, true);
        assert_eq!(read("a\tb\n").unwrap(), [("a".into(), Some("b".into()))]);
        let error = read("a\tb\nc\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(read_lines(&mut &b"\xff\n"[..], &mut 0, false).is_err());
    }
}
