//! Replaces placeholders by flags. The library does not know the command line and refers to a setting as `[data.valid]`
//! and to an option of a command as `[option.resume]`; here these become `--valid` and `--resume`.

use std::collections::HashMap;
use std::sync::OnceLock;

use bertkit_training::config::{Finetune, Pretrain, RunConfig, RunKind};

/// Replaces settings and options in a text by flags: `[data.train=FILE]` becomes `--train FILE`. A setting without a flag
/// becomes its key in backticks or, if it has a value, `--set KEY=VALUE`.
pub fn with_flags(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let inner = rest.find(']').map(|end| &rest[1..end]);
        match inner.and_then(|inner| Some((inner, flag(inner)?))) {
            Some((inner, flag)) => {
                shown.push_str(&flag);
                rest = &rest[inner.len() + 2..];
            }
            None => {
                shown.push('[');
                rest = &rest[1..];
            }
        }
    }
    shown + rest
}

/// The flag of a setting or option, if `inner` names one.
fn flag(inner: &str) -> Option<String> {
    let (name, value) = match inner.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (inner, None),
    };
    let option = name.strip_prefix("option.").filter(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    });
    let flag = match (option, settings().get(name)) {
        (Some(option), _) => format!("--{option}"),
        (None, Some(Some(flag))) => format!("--{flag}"),
        (None, Some(None)) => {
            return Some(match value {
                Some(_) => format!("--set {inner}"),
                None => format!("`{name}`"),
            });
        }
        (None, None) => return None,
    };
    Some(match value {
        Some(value) => format!("{flag} {value}"),
        None => flag,
    })
}

/// Every key with its flag, if it has one.
fn settings() -> &'static HashMap<String, Option<&'static str>> {
    static SETTINGS: OnceLock<HashMap<String, Option<&'static str>>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let mut flags: HashMap<String, Option<&'static str>> = HashMap::new();
        for (key, flag) in keys::<Finetune>().chain(keys::<Pretrain>()) {
            let known = flags.entry(key).or_default();
            *known = known.or(flag);
        }
        flags
    })
}

fn keys<K: RunKind>() -> impl Iterator<Item = (String, Option<&'static str>)> {
    RunConfig::<K>::settings()
        .into_iter()
        .map(|setting| (setting.key, setting.flags.first().map(|flag| flag.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_flags() {
        for (text, shown) in [
            ("give [data.train=FILE]", "give --train FILE"),
            ("no [data.valid]; [option.resume]", "no --valid; --resume"),
            ("`[task.kind=ner]` or [MASK]", "`--task ner` or [MASK]"),
            ("[optimizer.beta2=0.98]", "--set optimizer.beta2=0.98"),
            ("[optimizer.beta2]", "`optimizer.beta2`"),
            ("[corpus.paths=PATH], [", "--corpus PATH, ["),
            ("[option.no-header]", "--no-header"),
        ] {
            assert_eq!(with_flags(text), shown);
        }
    }
}
