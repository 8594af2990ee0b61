//! Splits texts into words.

use std::ops::Range;

/// The words of a text, as byte ranges: runs of characters between white space. Every punctuation mark, symbol, ideograph
/// and kana is a separate word. Letters, digits, `_` and combining marks are kept together: `can't` is three words,
/// `état` one. Control characters count as white space.
///
/// Every character that is not white space is in exactly one word.
pub fn split_words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        match kind(character) {
            Kind::Space => open = false,
            Kind::Alone => {
                words.push(at..end);
                open = false;
            }
            Kind::Letter => match words.last_mut().filter(|_| open) {
                Some(word) => word.end = end,
                None => {
                    words.push(at..end);
                    open = true;
                }
            },
            // Joins the preceding word, even if that is punctuation.
            Kind::Mark => match words.last_mut().filter(|word| word.end == at) {
                Some(word) => word.end = end,
                None => {
                    words.push(at..end);
                    open = true;
                }
            },
        }
    }
    words
}

enum Kind {
    Space,
    Letter,
    Mark,
    Alone,
}

fn kind(character: char) -> Kind {
    match character {
        _ if character.is_whitespace() || character.is_control() => Kind::Space,
        '_' => Kind::Letter,
        // Ideographs and kana, which are written without spaces.
        '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' => Kind::Alone,
        _ if character.is_alphanumeric() => Kind::Letter,
        _ if character.is_ascii() => Kind::Alone,
        // Punctuation and symbols, excluding letters and digits.
        '\u{a1}'..='\u{bf}'
        | '\u{d7}'
        | '\u{f7}'
        | '\u{2b9}'..='\u{2ff}'
        | '\u{37e}'
        | '\u{387}'
        | '\u{55a}'..='\u{55f}'
        | '\u{589}'..='\u{58f}'
        | '\u{5be}'
        | '\u{5c0}'
        | '\u{5c3}'
        | '\u{5f3}'..='\u{5f4}'
        | '\u{606}'..='\u{60f}'
        | '\u{61b}'..='\u{61f}'
        | '\u{66a}'..='\u{66d}'
        | '\u{6d4}'
        | '\u{964}'..='\u{965}'
        | '\u{970}'
        | '\u{e3f}'
        | '\u{e4f}'
        | '\u{e5a}'..='\u{e5b}'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}'
        | '\u{20a0}'..='\u{20cf}'
        | '\u{2100}'..='\u{2bff}'
        | '\u{2e00}'..='\u{2fff}'
        | '\u{3001}'..='\u{3020}'
        | '\u{3030}'..='\u{303f}'
        | '\u{fe10}'..='\u{fe1f}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff01}'..='\u{ffef}'
        | '\u{fffd}'
        | '\u{1f000}'..='\u{1f3fa}'
        | '\u{1f400}'..='\u{1faff}' => Kind::Alone,
        // Accents, vowel signs, joiners, variation selectors, skin tones.
        _ => Kind::Mark,
    }
}
