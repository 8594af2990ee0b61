//! Text normalization before splitting into words, as parts of `tokenizer.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The normalization of a new tokenizer, in this order: Unicode form, transliteration, lower case, accents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Normalization {
    /// Whether texts are lower-cased.
    pub lowercase: bool,
    /// Whether accents are stripped; by default, WordPiece strips them if it lower-cases, as BERT does.
    pub strip_accents: Option<bool>,
    /// The Unicode normalization form.
    pub form: Option<UnicodeForm>,
    /// The script conversion.
    pub transliteration: Option<Transliteration>,
}

/// A normalisation form of Unicode (Unicode Standard Annex 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnicodeForm {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
}

/// A change of script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transliteration {
    /// Serbian Cyrillic to Latin script, by the orthography of the language: `љ` becomes `lj`; `Љ` becomes `LJ` next to
    /// another capital letter, else `Lj`. Letters that do not exist in Serbian are unchanged.
    Serbian,
}

/// Serbian letters written as one Latin letter.
pub(crate) const SERBIAN: [(&str, &str); 27] = [
    ("а", "a"),
    ("б", "b"),
    ("в", "v"),
    ("г", "g"),
    ("д", "d"),
    ("ђ", "đ"),
    ("е", "e"),
    ("ж", "ž"),
    ("з", "z"),
    ("и", "i"),
    ("ј", "j"),
    ("к", "k"),
    ("л", "l"),
    ("м", "m"),
    ("н", "n"),
    ("о", "o"),
    ("п", "p"),
    ("р", "r"),
    ("с", "s"),
    ("т", "t"),
    ("ћ", "ć"),
    ("у", "u"),
    ("ф", "f"),
    ("х", "h"),
    ("ц", "c"),
    ("ч", "č"),
    ("ш", "š"),
];

/// Serbian letters written as two Latin letters: lower case, capitalised, and in all capitals.
pub(crate) const SERBIAN_DIGRAPHS: [(&str, &str, &str, &str, &str); 3] = [
    ("љ", "lj", "Љ", "Lj", "LJ"),
    ("њ", "nj", "Њ", "Nj", "NJ"),
    ("џ", "dž", "Џ", "Dž", "DŽ"),
];

impl Normalization {
    /// The normalisers of a WordPiece tokenizer: the configured ones, followed by BERT's, which also cleans text and
    /// separates Chinese characters.
    pub(super) fn bert(&self) -> Value {
        let mut parts = self.first();
        parts.push(json!({
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": self.strip_accents,
            "lowercase": self.lowercase,
        }));
        sequence(parts)
    }

    /// The normalisers of other tokenizers; `spaces` collapses white space to single spaces.
    pub(super) fn general(&self, spaces: bool) -> Value {
        let mut parts = self.first();
        if self.lowercase && self.transliteration.is_none() {
            parts.push(json!({"type": "Lowercase"}));
        }
        if self.strip_accents == Some(true) {
            parts.push(json!({"type": "NFD"}));
            parts.push(json!({"type": "StripAccents"}));
            match self.form {
                Some(UnicodeForm::Nfd | UnicodeForm::Nfkd) => {}
                _ => parts.push(json!({"type": "NFC"})),
            }
        }
        if spaces {
            parts.push(replace_pattern(r"\s+", " "));
            parts.push(json!({"type": "Strip", "strip_left": true, "strip_right": true}));
        }
        sequence(parts)
    }

    /// The Unicode form and the script. Lower-cased texts are lower-cased before transliteration, which halves the work.
    fn first(&self) -> Vec<Value> {
        let mut parts = Vec::new();
        match self.form {
            Some(UnicodeForm::Nfc) => parts.push(json!({"type": "NFC"})),
            Some(UnicodeForm::Nfd) => parts.push(json!({"type": "NFD"})),
            Some(UnicodeForm::Nfkc) => parts.push(json!({"type": "NFKC"})),
            Some(UnicodeForm::Nfkd) => parts.push(json!({"type": "NFKD"})),
            None => {}
        }
        if self.transliteration == Some(Transliteration::Serbian) {
            if self.lowercase {
                parts.push(json!({"type": "Lowercase"}));
            }
            for (small, latin, capital, capitalised, capitals) in SERBIAN_DIGRAPHS {
                parts.push(replace(small, latin));
                if !self.lowercase {
                    let among = format!(r"{capital}(?=\p{{Lu}})|(?<=\p{{Lu}}){capital}");
                    parts.push(replace_pattern(&among, capitals));
                    parts.push(replace(capital, capitalised));
                }
            }
            for (small, latin) in SERBIAN {
                parts.push(replace(small, latin));
                if !self.lowercase {
                    parts.push(replace(&small.to_uppercase(), &latin.to_uppercase()));
                }
            }
        }
        parts
    }
}

/// Replaces all occurrences of a string.
pub(super) fn replace(text: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": text}, "content": content})
}

fn replace_pattern(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content})
}

/// A sequence of normalisers; `null` if empty.
pub(super) fn sequence(mut parts: Vec<Value>) -> Value {
    match parts.len() {
        0 => Value::Null,
        1 => parts.remove(0),
        _ => json!({"type": "Sequence", "normalizers": parts}),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

    use super::*;

    fn apply(document: Value, text: &str) -> String {
        let normalizer: NormalizerWrapper = serde_json::from_value(document).unwrap();
        let mut normalized = NormalizedString::from(text);
        normalizer.normalize(&mut normalized).unwrap();
        normalized.get().to_string()
    }

    #[test]
    fn serbian_cyrillic_becomes_latin() {
        let rules = Normalization {
            transliteration: Some(Transliteration::Serbian),
            ..Normalization::default()
        };
        for (cyrillic, latin) in [
            ("Љубав и њива, џеп.", "Ljubav i njiva, džep."),
            ("ЉУБАВ КОЊ ЏЕП Њ", "LJUBAV KONJ DŽEP Nj"),
            ("Ђорђе Ћирић, Чачак", "Đorđe Ćirić, Čačak"),
            ("Фијакерист жваће шљиву", "Fijakerist žvaće šljivu"),
            ("already Latin, объём", "already Latin, obъёm"),
        ] {
            assert_eq!(apply(rules.general(false), cyrillic), latin);
            let lowercase = Normalization {
                lowercase: true,
                ..rules.clone()
            };
            let lower = latin.to_lowercase();
            assert_eq!(apply(lowercase.general(true), cyrillic), lower);
        }
        let bare = Normalization {
            lowercase: true,
            ..rules
        };
        assert_eq!(apply(bare.bert(), "Ћирић"), "ciric");
    }

    #[test]
    fn forms_lower_case_and_accents_are_what_was_asked_for() {
        let rules = |lowercase, strip_accents, form| Normalization {
            lowercase,
            strip_accents,
            form,
            transliteration: None,
        };
        let general = |rules: Normalization, text| apply(rules.general(false), text);
        assert_eq!(rules(false, None, None).general(false), Value::Null);
        assert_eq!(general(rules(true, None, None), "Éa"), "éa");
        assert_eq!(general(rules(true, Some(true), None), "Éa 한"), "ea 한");
        assert_eq!(
            general(rules(false, None, Some(UnicodeForm::Nfkc)), "ﬁ①"),
            "fi1"
        );
        assert_eq!(
            general(rules(false, None, Some(UnicodeForm::Nfd)), "é"),
            "e\u{301}"
        );
        assert_eq!(
            apply(rules(false, None, None).general(true), "  a\t\nb "),
            "a b"
        );
    }
}
