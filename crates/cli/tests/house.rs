//! The rules of the source tree that ARCHITECTURE.md and CONTRIBUTING.md state.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A source file.
struct Source {
    /// Path from the repository's root, with `/`.
    path: String,
    /// The lines as they are.
    lines: Vec<String>,
    /// The same lines without comments and without the contents of strings and characters.
    code: Vec<String>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let relative = path.strip_prefix(root()).unwrap();
        Self {
            path: relative.to_str().unwrap().replace('\\', "/"),
            code: code(&text).lines().map(str::to_owned).collect(),
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The lines of code before the tests of the file, numbered from 1.
    fn untested(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = |line: &String| line.trim_start().starts_with("#[cfg(test)]");
        let end = self.code.iter().position(tests).unwrap_or(self.code.len());
        let end = if self.is_test() { 0 } else { end };
        self.code[..end]
            .iter()
            .enumerate()
            .map(|(at, line)| (at + 1, line.as_str()))
    }
}

/// Every Rust file below `folder`, which must not be empty.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(&path));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Blanks comments, strings and characters, and keeps line breaks.
fn code(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    let starts =
        |at: usize, what: &str| text[at..].iter().copied().take(what.len()).eq(what.chars());
    while at < text.len() {
        let end = if starts(at, "//") {
            text[at..]
                .iter()
                .position(|&c| c == '\n')
                .map_or(text.len(), |n| at + n)
        } else if starts(at, "/*") {
            (at + 2..text.len())
                .find(|&n| starts(n, "*/"))
                .map_or(text.len(), |n| n + 2)
        } else if let Some(hashes) = raw_string(&text[at..]) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = at + 1 + hashes + 1;
            (open..text.len())
                .find(|&n| starts(n, &close))
                .map_or(text.len(), |n| n + close.len())
        } else if text[at] == '"' {
            quoted(&text, at, '"')
        } else if text[at] == '\'' && is_character(&text[at..]) {
            quoted(&text, at, '\'')
        } else {
            code.push(text[at]);
            at += 1;
            continue;
        };
        code.extend(text[at..end].iter().filter(|&&c| c == '\n'));
        at = end;
    }
    code
}

/// The number of hashes of a raw string that starts here.
fn raw_string(text: &[char]) -> Option<usize> {
    let rest = text.strip_prefix(&['r'])?;
    let hashes = rest.iter().take_while(|&&c| c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

/// Whether a quote starts a character and not a lifetime.
fn is_character(text: &[char]) -> bool {
    text.get(1) == Some(&'\\') || text.get(2) == Some(&'\'')
}

/// The end of the string or character that starts at `at`.
fn quoted(text: &[char], at: usize, quote: char) -> usize {
    let mut end = at + 1;
    while end < text.len() && text[end] != quote {
        end += if text[end] == '\\' { 2 } else { 1 };
    }
    end + 1
}

/// Whether `line` has `word` with no letter, digit or underscore before it.
fn has_word(line: &str, word: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(inner))
}

#[track_caller]
fn none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

/// Lines outside tests of the files below `folder` that use one of these modules of their crate, or one of these crates.
fn uses(folder: &str, paths: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources(folder) {
        // `use crate::{a, b::c}` may span lines.
        let mut group = false;
        for (number, line) in source.untested() {
            group |= has_word(line, "crate::{");
            let used = paths.iter().any(|path| {
                let name = path.rsplit("::").nth(1).unwrap_or(path);
                has_word(line, path) || group && has_word(line, &format!("{name}::"))
            });
            group &= !line.contains(';');
            if used {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

/// Whether a line has a variant of `Family`; `Family::ALL` and `Family::default` name no single one.
fn names_a_family(line: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices("Family::").any(|(at, start)| {
        let before = line[..at].chars().next_back();
        let name: String = line[at + start.len()..]
            .chars()
            .take_while(|&c| inner(c))
            .collect();
        let variant = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        variant && !before.is_some_and(inner)
    })
}

#[test]
fn only_families_say_which_family_a_model_has() {
    let mut found = Vec::new();
    for source in sources("crates") {
        let within = source.path.starts_with("crates/model/src/families/");
        if within || source.path.contains("/benches/") {
            continue;
        }
        for (number, line) in source.untested() {
            if names_a_family(line) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none("`Family::` outside crates/model/src/families", &found);
}

#[test]
fn arrows_inside_training_go_down() {
    let engine = ["crate::tasks::", "crate::run::", "crate::pretrain::"];
    none(
        "engine knows no task and no directory",
        &uses("crates/training/src/engine", &engine),
    );
    none(
        "run knows no task",
        &uses("crates/training/src/run", &[engine[0], engine[2]]),
    );
}

#[test]
fn data_and_evaluation_know_no_tensors() {
    for name in ["data", "evaluation"] {
        let manifest = format!("crates/{name}/Cargo.toml");
        let text = fs::read_to_string(root().join(&manifest)).unwrap();
        assert!(!text.contains("burn"), "{manifest} names burn");
        none(
            "no tensors here",
            &uses(&format!("crates/{name}/src"), &["burn::"]),
        );
    }
}

/// The modules with a registry, where clippy denies `_ =>` on an enum.
const LINTED: [&str; 4] = [
    "crates/evaluation/src/lib.rs",
    "crates/data/src/pretraining/sequences/packing/mod.rs",
    "crates/training/src/pretrain/objectives/mod.rs",
    "crates/model/src/families/mod.rs",
];

/// The registries that only their own files match.
const MATCHED: [(&str, &str); 1] = [("Metric", "crates/evaluation/src/metric.rs")];

#[test]
fn registries_are_matched_exhaustively() {
    for path in LINTED {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let lint = "deny(clippy::wildcard_enum_match_arm)";
        assert!(text.contains(lint), "{path} lacks {lint}");
    }
    let mut found = Vec::new();
    for source in sources("crates") {
        for (number, line) in source.untested() {
            let arm = line.split_once("=>").map_or("", |(pattern, _)| pattern);
            let matched = |(name, own): &(&str, &str)| {
                has_word(arm, &format!("{name}::")) && !source.path.starts_with(own)
            };
            if MATCHED.iter().any(matched) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none(
        "ask the descriptor instead of matching on a registry",
        &found,
    );
}

#[test]
fn an_objective_is_known_to_its_files_and_its_registries() {
    let known = [
        "crates/data/src/pretraining/sequences/packing/mod.rs",
        "crates/data/src/pretraining/sequences/packing/sentence_order.rs",
        "crates/training/src/pretrain/objectives/mod.rs",
        "crates/training/src/pretrain/objectives/sop.rs",
    ];
    let mut found = Vec::new();
    for source in sources("crates") {
        if known.contains(&source.path.as_str()) {
            continue;
        }
        for (number, _) in source.untested() {
            let line = source.lines[number - 1].trim();
            let names = ["SentenceOrder", "sentence_order", "sentence-order", "+sop"];
            if names.iter().any(|name| line.contains(name)) {
                found.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    none("sentence order is named outside its files", &found);
}

/// The functions of a file: name, first line and last line, from 0.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, line) in source.code.iter().enumerate() {
        let Some((_, rest)) = line.split_once("fn ").filter(|_| has_word(line, "fn ")) else {
            continue;
        };
        let letters = |c: &char| c.is_alphanumeric() || *c == '_';
        let name: String = rest.chars().take_while(letters).collect();
        let (mut depth, mut open) = (0_i32, false);
        let last = (at..source.code.len()).find(|&n| {
            let from = if n == at { line.len() - rest.len() } else { 0 };
            for c in source.code[n][from..].chars() {
                match c {
                    '{' => (depth, open) = (depth + 1, true),
                    '}' => depth -= 1,
                    ';' if !open && depth == 0 => return true,
                    _ => {}
                }
                if open && depth == 0 {
                    return true;
                }
            }
            false
        });
        if let Some(last) = last.filter(|_| open && !name.is_empty()) {
            found.push((name, at, last));
        }
    }
    found
}

#[test]
fn long_functions_have_a_reason() {
    const MOST_LINES: usize = 100;
    let mut found = Vec::new();
    for source in sources("crates") {
        for (name, first, last) in functions(&source) {
            let above = source.lines[..first].iter().rev();
            let beside = |line: &&String| {
                let line = line.trim_start();
                line.starts_with("//") || line.starts_with("#[")
            };
            let reason = |line: &String| line.trim_start().starts_with("// Long because ");
            let lines = last - first + 1;
            if lines > MOST_LINES && !above.take_while(beside).any(reason) {
                found.push(format!(
                    "{}:{}: `{name}` has {lines} lines",
                    source.path,
                    first + 1
                ));
            }
        }
    }
    none(
        "more than 100 lines without `// Long because …` above",
        &found,
    );
}

/// The module of a file: the names below the crate's root.
fn module(path: &str) -> Vec<String> {
    let (_, within) = path.split_once("/src/").unwrap();
    let within = within.trim_end_matches(".rs");
    let mut names: Vec<String> = within.split('/').map(str::to_owned).collect();
    if names
        .last()
        .is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str()))
    {
        names.pop();
    }
    names
}

/// The paths that follow `start`, with groups such as `a::{b, c::d}` spelled out.
fn paths(text: &str, start: &[String], found: &mut Vec<Vec<String>>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut from) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    paths(&group[from..at], start, found);
                    from = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut path = start.to_vec();
    if !name.is_empty() {
        path.push(name.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) => paths(rest, &path, found),
        None => found.push(path),
    }
}

/// The files of a crate and, for each, the files whose modules it names in a path from `crate::` or `super::`.
fn imports(name: &str) -> (Vec<String>, Vec<Vec<usize>>) {
    let all = sources(&format!("crates/{name}/src"));
    let modules: Vec<Vec<String>> = all.iter().map(|source| module(&source.path)).collect();
    let edges = all.iter().enumerate().map(|(from, source)| {
        let lines: Vec<&str> = source.untested().map(|(_, line)| line).collect();
        let text = lines.join("\n");
        let mut named = Vec::new();
        for (at, start) in text.match_indices("crate::") {
            paths(&text[at + start.len()..], &[], &mut named);
        }
        for (at, _) in text.match_indices("super::") {
            if text[..at].ends_with("super::") {
                continue;
            }
            let after = text[at..].trim_start_matches("super::");
            let levels = (text.len() - at - after.len()) / "super::".len();
            let own = &modules[from];
            paths(after, &own[..own.len().saturating_sub(levels)], &mut named);
        }
        let target = |path: &Vec<String>| {
            let of = |end: usize| modules.iter().position(|module| module[..] == path[..end]);
            (1..=path.len()).rev().find_map(of)
        };
        let targets = named.iter().filter_map(target);
        targets.filter(|&to| to != from).collect()
    });
    let edges = edges.collect();
    (all.into_iter().map(|source| source.path).collect(), edges)
}

/// Whether `to` can be reached from `from` by one arrow or more.
fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut left = edges[from].clone();
    while let Some(at) = left.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            left.extend(&edges[at]);
        }
    }
    false
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for name in ["model", "data", "evaluation", "training", "cli"] {
        let (files, edges) = imports(name);
        for (from, targets) in edges.iter().enumerate() {
            for &to in targets {
                if reaches(&edges, to, from) {
                    found.push(format!("{} -> {}", files[from], files[to]));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    none("arrows of circles", &found);
}

/// The newest of each kind: its name in code, the path of its own files, and how many other files may name it at most.
const ADDED: [(&str, &str, usize); 6] = [
    ("ALBERT", "crates/model/src/families/albert.rs", 1),
    (
        "SentenceOrder",
        "crates/training/src/pretrain/objectives/sop.rs",
        3,
    ),
    ("parquet::", "crates/data/src/sources/parquet/", 1),
    (
        "MultipleChoice",
        "crates/training/src/tasks/multiple_choice/",
        2,
    ),
    ("Mae", "crates/evaluation/src/metrics/regression.rs", 1),
    ("DevicesArgs", "crates/cli/src/commands/devices.rs", 1),
];

#[test]
fn what_was_added_last_is_named_in_few_files() {
    let all = sources("crates");
    for (name, own, most) in ADDED {
        let names = |source: &&Source| source.untested().any(|(_, line)| line.contains(name));
        let (own, others): (Vec<&Source>, Vec<&Source>) = all
            .iter()
            .filter(names)
            .partition(|source| source.path.starts_with(own));
        assert!(!own.is_empty(), "nothing names `{name}`");
        let others: Vec<&str> = others.iter().map(|source| source.path.as_str()).collect();
        assert!(others.len() <= most, "`{name}` is named in {others:?}");
    }
}

/// Whether a line names a flag of a command line, such as `--valid`.
fn names_flag(line: &str) -> bool {
    line.match_indices("--").any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + 2..].chars().next();
        !before.is_some_and(|c| c == '-' || c.is_alphanumeric())
            && after.is_some_and(|c| c.is_ascii_lowercase())
    })
}

#[test]
fn the_libraries_name_no_flag_of_the_command_line() {
    let mut found = Vec::new();
    for name in ["data", "evaluation", "model", "training"] {
        for source in sources(&format!("crates/{name}/src")) {
            // Lines before the tests, with comments and strings.
            let end = source.untested().last().map_or(0, |(number, _)| number);
            for (at, line) in source.lines[..end].iter().enumerate() {
                if names_flag(line) && !line.contains("cargo build") {
                    found.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
                }
            }
        }
    }
    none(
        "flags of the command line: write `[data.valid]` or `[option.resume]`",
        &found,
    );
}

#[test]
fn the_architecture_stays_short() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(
        text.lines().count() <= 200,
        "more than 200 lines: move parts to docs/design"
    );
}

/// The pages of the repository: those at its root, and all below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/design"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut found = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains("://");
            if local && !page.parent().unwrap().join(target).exists() {
                found.push(format!("{}: {target}", page.display()));
            }
        }
    }
    none("links without a target", &found);
}

#[test]
fn functions_are_found_in_code_alone() {
    let text = "// fn a() {\nfn b() -> char {\n    let s = \"}\"; // }\n    '}'\n}\nfn c<'a>(x: &'a str);\n";
    let source = Source {
        path: String::new(),
        lines: text.lines().map(str::to_owned).collect(),
        code: code(text).lines().map(str::to_owned).collect(),
    };
    assert_eq!(functions(&source), [("b".to_owned(), 1, 4)]);
    assert_eq!(code("r#\"a \"quote\" {\"# {"), " {");
}
