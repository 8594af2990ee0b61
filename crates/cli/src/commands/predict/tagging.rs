//! `bertkit predict` for tagging models.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bertkit_data::DataError;
use bertkit_data::columns::Column;
use bertkit_data::error::FileError;
use bertkit_data::examples::{Examples, Selection};
use bertkit_data::sources::tagged::{TagPolicy, read_tagged, read_tagged_from, write_tagged};
use bertkit_data::sources::{read_table, read_table_from};
use bertkit_data::tagging::TaggedCorpus;
use bertkit_training::{FoundEntity, TaggedWords, Tagger};
use serde_json::json;

use super::PredictArgs;
use super::input::{LINES_AT_ONCE, of_table, one_line, piped, read_lines};
use super::output::{Target, note_left_out, replace_file, with_columns, writable};
use crate::error::CliError;
use crate::format::{count, plural};
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// The column added to a table of texts.
const ENTITIES: &str = "entities";

/// Runs the prediction.
pub(super) fn run(args: &PredictArgs) -> Result<(), CliError> {
    let source = Source::choose(args)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let tagger = Tagger::open(&args.run, args.machine.chosen(args.quiet))?
        .in_precision(args.products.precision)?;
    if !args.quiet {
        tagger.notes().iter().for_each(|note| render::note(note));
    }
    match source {
        Source::Texts => show(args, &tagger, &args.text, 1),
        Source::Lines => lines(args, &tagger),
        Source::Words(input) => words(args, &tagger, &input),
        Source::Table(input, column, target) => table(args, &tagger, &input, &column, &target),
    }
}

/// The input to tag.
enum Source {
    Texts,
    Lines,
    /// A file of words, tagged or not.
    Words(PathBuf),
    /// A table with a text in each row.
    Table(PathBuf, String, Target),
}

impl Source {
    fn choose(args: &PredictArgs) -> Result<Self, CliError> {
        let of_pairs = [
            ("--text-pair", !args.text_pair.is_empty()),
            ("--text-pair-column", args.text_pair_column.is_some()),
        ];
        if let Some((flag, _)) = of_pairs.iter().find(|(_, given)| *given) {
            return Err(CliError::usage(
                format!("{flag} is about pairs of texts, but this model tags words"),
                "leave it out",
            ));
        }
        let Some(input) = &args.input else {
            of_table(args)?;
            return match args.text.is_empty() {
                true => piped().map(|()| Self::Lines),
                false => Ok(Self::Texts),
            };
        };
        if let Some(column) = &args.text_column {
            let target = Target::choose(args)?;
            return Ok(Self::Table(input.clone(), column.clone(), target));
        }
        let of_rows = [
            ("--output-format", args.output_format.is_some()),
            ("--json", args.json),
            ("--header", args.header),
        ];
        if let Some((flag, _)) = of_rows.iter().find(|(_, given)| *given) {
            return Err(CliError::usage(
                format!("{flag} is about a table of texts: a file of words keeps its format"),
                "name the column of the texts with --text-column, or leave it out",
            ));
        }
        if let Some(path) = &args.output {
            writable(path)?;
        }
        Ok(Self::Words(input.clone()))
    }
}

/// Prints the entities of texts, numbered from `first`.
fn show(
    args: &PredictArgs,
    tagger: &Tagger,
    texts: &[String],
    first: usize,
) -> Result<(), CliError> {
    let found = tagger.entities(texts)?;
    let mut out = String::new();
    for (number, (text, entities)) in texts.iter().zip(&found).enumerate() {
        if args.json {
            out += &json!({ "text": text, ENTITIES: entities }).to_string();
            out.push('\n');
            continue;
        }
        for entity in entities {
            out += &entity_line(first + number, entity);
        }
    }
    render::stdout(&out)
}

/// `1<TAB>0<TAB>11<TAB>PER<TAB>0.9731<TAB>Marie Curie`: number of the text, start and end of the entity in characters,
/// its type, score and text.
fn entity_line(number: usize, entity: &FoundEntity) -> String {
    let span = &entity.span;
    let score = entity
        .score
        .map_or_else(String::new, |score| format!("{score:.4}"));
    let (kind, text) = (one_line(&span.label), one_line(&span.text));
    let (start, end) = (span.start, span.end);
    format!("{number}\t{start}\t{end}\t{kind}\t{score}\t{text}\n")
}

/// Tags standard input, one text per line.
fn lines(args: &PredictArgs, tagger: &Tagger) -> Result<(), CliError> {
    let mut reader = io::stdin().lock();
    let mut number = 0;
    loop {
        let before = number as usize;
        let texts = read_lines(&mut reader, &mut number, false)?;
        if number == 0 && !args.quiet {
            render::note("standard input is empty: there was nothing to predict");
        }
        if texts.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = texts.into_iter().map(|(text, _)| text).collect();
        show(args, tagger, &texts, before + 1)?;
    }
}

/// Writes a copy of a file of words with an additional column.
fn words(args: &PredictArgs, tagger: &Tagger, input: &Path) -> Result<(), CliError> {
    let given = args.tags.columns(&args.read)?;
    // Existing tags determine whether tags are written with types; they need not be valid.
    let options = given
        .or(&tagger.info().columns)
        .options(TagPolicy::IfPresent)?;
    let corpus = match input.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|source| CliError::Stdin { source })?;
            read_tagged_from(bytes, "standard input", &options)?
        }
        _ => read_tagged(input, &options)?,
    };
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let found = tagger.tag(&corpus.sentences, &mut |done, total| {
        progress.done(done, total)
    })?;
    drop(progress);
    let write = |out: &mut dyn Write| write_found(out, &corpus, tagger, &found);
    match &args.output {
        None => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            let written = write(&mut out).and_then(|()| out.flush());
            written.map_err(|source| CliError::Stdout { source })?;
        }
        Some(path) => replace_file(path, write)?,
    }
    if args.quiet {
        return Ok(());
    }
    if found.cut_sentences > 0 {
        let limit = count(tagger.info().max_length as u64);
        let sentences = plural(found.cut_sentences as u64, "sentence");
        render::note(&format!(
            "longer than the model's {limit} tokens, and read in windows: {sentences}"
        ));
    }
    if let Some(path) = &args.output {
        let sentences = plural(corpus.sentences.len() as u64, "sentence");
        render::note(&format!("wrote {sentences} to `{}`", path.display()));
    }
    Ok(())
}

fn write_found(
    out: &mut dyn Write,
    corpus: &TaggedCorpus,
    tagger: &Tagger,
    found: &TaggedWords,
) -> io::Result<()> {
    let set = &tagger.info().tags;
    let written = write_tagged(out, corpus, set, &found.tags, Some(&found.scores));
    written.map_err(|error| match error {
        DataError::File(FileError::Write { source }) => source,
        other => io::Error::other(other),
    })
}

/// Writes a copy of a table of texts with a column of entities, where each cell is a JSON list.
fn table(
    args: &PredictArgs,
    tagger: &Tagger,
    input: &Path,
    column: &str,
    target: &Target,
) -> Result<(), CliError> {
    let options = args.read.options(true)?;
    let table = match input.to_str() {
        Some("-") => read_table_from(io::stdin().lock(), "standard input", &options)?,
        _ => read_table(input, &options)?,
    };
    let selection = Selection {
        text: Column::from(column),
        text_pair: None,
        label: None,
        group: None,
        label_separator: None,
    };
    let examples = Examples::unlabelled(&table, &selection)?;
    let texts: Vec<String> = examples.rows.into_iter().map(|row| row.text).collect();
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let mut values = Vec::with_capacity(texts.len());
    // Predict in batches to show progress.
    for portion in texts.chunks(LINES_AT_ONCE) {
        let found = tagger.entities(portion)?;
        values.extend(
            found
                .iter()
                .map(|entities| vec![json!(entities).to_string().into()]),
        );
        progress.done(values.len(), texts.len());
    }
    drop(progress);
    note_left_out(&table, args.quiet);
    let (columns, rows, replaced) = with_columns(table, vec![ENTITIES.into()], values.into_iter());
    if !replaced.is_empty() && !args.quiet {
        render::note(&format!(
            "the table's own `{ENTITIES}` replaced by a new one"
        ));
    }
    target.write(&columns, rows)?;
    if let (Some(path), false) = (&target.path, args.quiet) {
        let rows = plural(texts.len() as u64, "row");
        render::note(&format!("wrote {rows} to `{}`", path.display()));
    }
    Ok(())
}
