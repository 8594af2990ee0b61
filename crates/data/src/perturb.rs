//! Perturbs texts with typical careless writing, to measure how robust a model is.
//!
//! ```
//! use bertkit_data::perturb::Perturbation;
//!
//! # fn main() -> Result<(), bertkit_data::perturb::UnknownPerturbation> {
//! let careless: Perturbation = "accents,case:upper".parse()?;
//! assert_eq!(careless.apply("Zakon o šumama", 13, 0), "ZAKON O SUMAMA");
//! let script: Perturbation = "script".parse()?;
//! assert_eq!(script.apply("Закон о шумама", 13, 0), "Zakon o šumama");
//! let typos: Perturbation = "typos:0.3".parse()?;
//! assert_eq!(typos.apply("one text", 13, 0), typos.apply("one text", 13, 0));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokenizers::normalizers::StripAccents;
use tokenizers::{NormalizedString, Normalizer};

use crate::random::{KeyedPurpose, Random};
use crate::tokenizer::{SERBIAN, SERBIAN_DIGRAPHS};

/// The default rate of typing errors per letter.
const TYPOS: f64 = 0.05;

/// Changes to a text, applied in order.
///
/// Displayed, parsed and serialised as a list such as `typos:0.05,accents`:
///
/// | | changes | rate: share of | if not given |
/// |---|---|---|---|
/// | `typos` | a letter is swapped with the next, dropped, followed by a neighbouring key, or replaced by one | letters | 0.05 |
/// | `case`, `case:upper`, `case:lower` | a word in upper case, lower case, or (`case`) one of these or capitalised | words | 1 |
/// | `accents` | `é` becomes `e`; also `đ` `dj`, `ł` `l` and `ø` `o` | words | 1 |
/// | `script`, `script:latin`, `script:cyrillic` | a word in the other Serbian script, or in the given one | words | 1 |
///
/// A word is a run of letters. A word with a letter that does not exist in Serbian keeps its script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Perturbation {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    change: Change,
    /// Probability that a letter or word is changed.
    rate: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Typos,
    /// A random one of the other case changes.
    AnyCase,
    Upper,
    Lower,
    Accents,
    /// The script that the word is not written in.
    OtherScript,
    Latin,
    Cyrillic,
}

impl Change {
    const ALL: [Self; 8] = [
        Self::Typos,
        Self::AnyCase,
        Self::Upper,
        Self::Lower,
        Self::Accents,
        Self::OtherScript,
        Self::Latin,
        Self::Cyrillic,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Typos => "typos",
            Self::AnyCase => "case",
            Self::Upper => "case:upper",
            Self::Lower => "case:lower",
            Self::Accents => "accents",
            Self::OtherScript => "script",
            Self::Latin => "script:latin",
            Self::Cyrillic => "script:cyrillic",
        }
    }

    const fn usual_rate(self) -> f64 {
        match self {
            Self::Typos => TYPOS,
            _ => 1.0,
        }
    }
}

/// A string that is not a [`Perturbation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown change `{part}`; expected typos, case, case:upper, case:lower, accents, script, script:latin or script:cyrillic, each with a rate from 0 to 1 if wanted, such as typos:0.05"
)]
pub struct UnknownPerturbation {
    /// The unrecognised part.
    pub part: String,
}

impl FromStr for Perturbation {
    type Err = UnknownPerturbation;

    /// Parses comma-separated changes.
    ///
    /// # Errors
    /// [`UnknownPerturbation`] with the first part that is not a change.
    fn from_str(text: &str) -> Result<Self, UnknownPerturbation> {
        let step = |part: &str| {
            let part = part.trim();
            let named = |name: &str| Change::ALL.into_iter().find(|change| change.name() == name);
            if let Some(change) = named(part) {
                let rate = change.usual_rate();
                return Ok(Step { change, rate });
            }
            let rated = part.rsplit_once(':').and_then(|(name, rate)| {
                let rate = rate
                    .parse()
                    .ok()
                    .filter(|rate| (0.0..=1.0).contains(rate))?;
                let change = named(name)?;
                Some(Step { change, rate })
            });
            rated.ok_or_else(|| UnknownPerturbation { part: part.into() })
        };
        let steps = text.split(',').map(step).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }
}

impl fmt::Display for Perturbation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = |step: &Step| match step.rate == step.change.usual_rate() {
            true => step.change.name().to_owned(),
            false => format!("{}:{}", step.change.name(), step.rate),
        };
        let steps: Vec<String> = self.steps.iter().map(step).collect();
        f.pad(&steps.join(","))
    }
}

impl TryFrom<String> for Perturbation {
    type Error = UnknownPerturbation;

    fn try_from(text: String) -> Result<Self, UnknownPerturbation> {
        text.parse()
    }
}

impl From<Perturbation> for String {
    fn from(perturbation: Perturbation) -> Self {
        perturbation.to_string()
    }
}

impl Perturbation {
    /// Applies the changes. The result depends only on the text, the seed and the number. Use a different number for each
    /// text of a row.
    pub fn apply(&self, text: &str, seed: u64, number: u64) -> String {
        let mut text = text.to_owned();
        for (place, step) in self.steps.iter().enumerate() {
            let mut random = Random::keyed(seed, KeyedPurpose::Perturbation, place as u64, number);
            text = match step.change {
                Change::Typos => typos(&text, step.rate, &mut random),
                change => {
                    let on_word = |word: &str| match random.chance(step.rate) {
                        true => change_word(change, word, &mut random),
                        false => word.to_owned(),
                    };
                    map_words(&text, on_word)
                }
            };
        }
        text
    }
}

/// Whether a character is part of a word: a letter, or a mark on one.
fn in_word(character: char) -> bool {
    character.is_alphabetic() || ('\u{300}'..='\u{36f}').contains(&character)
}

/// The text with each run of letters replaced.
fn map_words(text: &str, mut change: impl FnMut(&str) -> String) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_word) {
        let (between, from) = rest.split_at(start);
        let end = from.find(|c| !in_word(c)).unwrap_or(from.len());
        let (word, behind) = from.split_at(end);
        changed += between;
        changed += &change(word);
        rest = behind;
    }
    changed + rest
}

fn change_word(change: Change, word: &str, random: &mut Random) -> String {
    match change {
        Change::Typos => typos(word, 1.0, random),
        Change::AnyCase => match random.below(3) {
            0 => word.to_uppercase(),
            1 => word.to_lowercase(),
            _ => capitalised(word),
        },
        Change::Upper => word.to_uppercase(),
        Change::Lower => word.to_lowercase(),
        Change::Accents => without_accents(word),
        Change::Latin => to_latin(word),
        Change::Cyrillic => to_cyrillic(word),
        Change::OtherScript => {
            let cyrillic = word.chars().any(|c| ('\u{400}'..='\u{4ff}').contains(&c));
            if cyrillic {
                to_latin(word)
            } else {
                to_cyrillic(word)
            }
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(char::to_uppercase);
    let first: String = first.into_iter().flatten().collect();
    first + &characters.as_str().to_lowercase()
}

/// Introduces typing errors: letters are swapped, dropped, inserted or replaced.
fn typos(text: &str, rate: f64, random: &mut Random) -> String {
    let characters: Vec<char> = text.chars().collect();
    let letters: Vec<char> = characters
        .iter()
        .copied()
        .filter(|c| c.is_alphabetic())
        .collect();
    let mut changed = String::with_capacity(text.len() + 8);
    let mut place = 0;
    while place < characters.len() {
        let letter = characters[place];
        place += 1;
        if !letter.is_alphabetic() || !random.chance(rate) {
            changed.push(letter);
            continue;
        }
        match random.below(4) {
            0 => match characters.get(place).filter(|next| next.is_alphabetic()) {
                Some(&next) => {
                    changed.extend([next, letter]);
                    place += 1;
                }
                // The last letter of a word has no next letter to swap with.
                None => changed.push(slip(letter, &letters, random)),
            },
            1 => {}
            2 => changed.extend([letter, slip(letter, &letters, random)]),
            _ => changed.push(slip(letter, &letters, random)),
        }
    }
    changed
}

/// A letter next to `letter` on an English keyboard, in the same case; for letters that are not on it, another letter of
/// the text.
fn slip(letter: char, letters: &[char], random: &mut Random) -> char {
    const KEYBOARD: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let small = letter.to_ascii_lowercase();
    let place = KEYBOARD
        .iter()
        .enumerate()
        .find_map(|(row, keys)| Some((row, keys.find(small)?)));
    let Some((row, column)) = place else {
        return letters[random.below(letters.len() as u64) as usize];
    };
    // Rows are offset by half a key: the neighbours below are the previous and the same column, those above the same and
    // the next.
    let key = |row: usize, column: usize| KEYBOARD.get(row)?.as_bytes().get(column);
    let near = [
        column.checked_sub(1).and_then(|before| key(row, before)),
        key(row, column + 1),
        row.checked_sub(1).and_then(|above| key(above, column)),
        row.checked_sub(1).and_then(|above| key(above, column + 1)),
        column
            .checked_sub(1)
            .and_then(|before| key(row + 1, before)),
        key(row + 1, column),
    ];
    let near: Vec<u8> = near.into_iter().flatten().copied().collect();
    let chosen = near[random.below(near.len() as u64) as usize];
    match letter.is_ascii_uppercase() {
        true => chosen.to_ascii_uppercase().into(),
        false => chosen.into(),
    }
}

fn without_accents(word: &str) -> String {
    let mut normalized = NormalizedString::from(word);
    normalized.nfd();
    if StripAccents.normalize(&mut normalized).is_err() {
        return word.to_owned();
    }
    normalized.nfc();
    let capitals = word.chars().filter(|c| c.is_uppercase()).count() > 1;
    let mut plain = String::with_capacity(word.len());
    for letter in normalized.get().chars() {
        match letter {
            'đ' => plain.push_str("dj"),
            'Đ' => plain.push_str(if capitals { "DJ" } else { "Dj" }),
            'ł' => plain.push('l'),
            'Ł' => plain.push('L'),
            'ø' => plain.push('o'),
            'Ø' => plain.push('O'),
            other => plain.push(other),
        }
    }
    plain
}

/// A Serbian word in Latin script, as in the tokenizers' transliteration; other words are unchanged.
fn to_latin(word: &str) -> String {
    let characters: Vec<char> = word.chars().collect();
    let mut latin = String::with_capacity(word.len() * 2);
    for (place, letter) in characters.iter().enumerate() {
        let small: String = letter.to_lowercase().collect();
        let capital = letter.is_uppercase();
        if let Some((_, plain)) = SERBIAN.iter().find(|(cyrillic, _)| *cyrillic == small) {
            match capital {
                true => latin += &plain.to_uppercase(),
                false => latin += plain,
            }
        } else if let Some(&(_, plain, _, capitalised, capitals)) =
            SERBIAN_DIGRAPHS.iter().find(|digraph| digraph.0 == small)
        {
            let beside = [place.checked_sub(1), place.checked_add(1)];
            let among = beside
                .into_iter()
                .flatten()
                .any(|place| characters.get(place).is_some_and(|c| c.is_uppercase()));
            latin += match (capital, among) {
                (false, _) => plain,
                (true, false) => capitalised,
                (true, true) => capitals,
            };
        } else {
            return word.to_owned();
        }
    }
    latin
}

/// A Serbian word in Cyrillic script; other words are unchanged. `nj`, `lj` and `dž` are read as one letter, which is
/// correct except in a few words of foreign origin.
fn to_cyrillic(word: &str) -> String {
    let characters: Vec<char> = word.chars().collect();
    let mut cyrillic = String::with_capacity(word.len() * 2);
    let mut place = 0;
    while place < characters.len() {
        let letter = characters[place];
        let small: String = letter.to_lowercase().collect();
        let pair: Option<String> = characters
            .get(place + 1)
            .map(|next| small.chars().chain(next.to_lowercase()).collect());
        let digraph = SERBIAN_DIGRAPHS
            .iter()
            .find(|digraph| Some(digraph.1) == pair.as_deref());
        let (written, letters) = match digraph {
            Some(digraph) => (digraph.0, 2),
            None => match SERBIAN.iter().find(|(_, latin)| *latin == small) {
                Some((written, _)) => (*written, 1),
                None => return word.to_owned(),
            },
        };
        match letter.is_uppercase() {
            true => cyrillic += &written.to_uppercase(),
            false => cyrillic += written,
        }
        place += letters;
    }
    cyrillic
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn apply(changes: &str, text: &str) -> String {
        changes.parse::<Perturbation>().unwrap().apply(text, 13, 0)
    }

    #[test]
    fn names_read_back() {
        for text in [
            "typos",
            "typos:0.1",
            "case",
            "case:upper:0.5,accents:0.25",
            "script:latin,case:lower,script:cyrillic,script",
        ] {
            let read: Perturbation = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Perturbation>(&json).unwrap(), read);
        }
        assert_eq!(
            " typos:0.05 , case "
                .parse::<Perturbation>()
                .unwrap()
                .to_string(),
            "typos,case"
        );
        for text in [
            "",
            "typo",
            "typos:2",
            "typos:nan",
            "case:title",
            "script:greek:0.5",
            "typos,,case",
        ] {
            assert!(text.parse::<Perturbation>().is_err(), "{text}");
        }
        let error = "typos,case:big".parse::<Perturbation>().unwrap_err();
        assert!(error.to_string().starts_with("unknown change `case:big`"));
    }

    #[test]
    fn cases_accents_and_scripts_change_words_and_nothing_between() {
        let text = "Član 5. zakona, đak i Đorđe: ‹façade›";
        assert_eq!(
            apply("case:upper", text),
            "ČLAN 5. ZAKONA, ĐAK I ĐORĐE: ‹FAÇADE›"
        );
        assert_eq!(
            apply("case:lower", text),
            "član 5. zakona, đak i đorđe: ‹façade›"
        );
        assert_eq!(
            apply("accents", text),
            "Clan 5. zakona, djak i Djordje: ‹facade›"
        );
        assert_eq!(
            apply("accents", "ĐORĐE e\u{301}te 한글"),
            "DJORDJE ete 한글"
        );
        assert_eq!(
            apply("script", text),
            "Члан 5. закона, ђак и Ђорђе: ‹façade›"
        );
        assert_eq!(apply("script:latin", text), text);
        assert_eq!(apply("script:cyrillic:0", text), text);
    }

    #[test]
    fn digraphs_survive_both_ways() {
        for (cyrillic, latin) in [
            ("Љубав и њива, џеп.", "Ljubav i njiva, džep."),
            ("ЉУБАВ КОЊ ЏЕП", "LJUBAV KONJ DŽEP"),
            ("Ђорђе Ћирић, Чачак", "Đorđe Ćirić, Čačak"),
        ] {
            assert_eq!(apply("script:latin", cyrillic), latin);
            assert_eq!(apply("script:cyrillic", latin), cyrillic);
            assert_eq!(apply("script,script", cyrillic), cyrillic);
        }
        assert_eq!(apply("script", "объём www"), "объём www");
    }

    #[test]
    fn as_many_letters_are_mistyped_as_asked_for() {
        let text = "abcdefghij ".repeat(2000);
        let changed = apply("typos:0.1", &text);
        let swapped_or_more = changed
            .split(' ')
            .zip(text.split(' '))
            .filter(|(a, b)| a != b);
        // A word of ten letters is unchanged with probability 0.9¹⁰ = 0.349.
        let share = swapped_or_more.count() as f64 / 2000.0;
        assert!((share - 0.651).abs() < 0.04, "{share}");
        assert_eq!(changed.matches(' ').count(), 2000);
        assert_eq!(apply("typos:0", &text), text);
        assert_ne!(apply("typos:0.5", "абвгд ђежзи јклљм"), "абвгд ђежзи јклљм");
    }

    #[test]
    fn each_row_and_seed_is_changed_in_its_own_way() {
        let typos: Perturbation = "typos:0.3".parse().unwrap();
        let text = "a text that is long enough to differ";
        let changed: std::collections::BTreeSet<String> = (0..5)
            .flat_map(|seed| (0..5).map(move |row| (seed, row)))
            .map(|(seed, row)| typos.apply(text, seed, row))
            .collect();
        assert_eq!(changed.len(), 25);
    }

    proptest! {
        #[test]
        fn any_text_can_be_changed_and_only_its_letters_are(text in "\\PC{0,40}", number in 0u64..1000) {
            let all: Perturbation = "typos:0.4,case:0.5,accents:0.5,script:0.5".parse().unwrap();
            let changed = all.apply(&text, 7, number);
            prop_assert_eq!(&changed, &all.apply(&text, 7, number));
            let kept = |text: &str| text.chars().filter(|c| c.is_ascii() && !c.is_alphabetic()).collect::<String>();
            prop_assert_eq!(kept(&changed), kept(&text));
        }
    }
}
