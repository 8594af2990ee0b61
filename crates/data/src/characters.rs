//! Characters of a text by position, and where they lie in it.

/// Turns positions in characters (code points, as Python counts) into bytes and back, at once or in a few steps each.
#[derive(Debug, Clone)]
pub(crate) struct Characters {
    /// Where each character begins, and where the text ends; `None` where both are the same, as in ASCII.
    starts: Option<Vec<u32>>,
    bytes: usize,
}

impl Characters {
    pub(crate) fn new(text: &str) -> Self {
        let starts = (!text.is_ascii()).then(|| {
            let starts = text.char_indices().map(|(at, _)| at as u32);
            starts.chain([text.len() as u32]).collect()
        });
        Self {
            starts,
            bytes: text.len(),
        }
    }

    /// Byte where the character begins; the end of the text counts as one more.
    pub(crate) fn byte(&self, character: usize) -> Option<usize> {
        match &self.starts {
            None => (character <= self.bytes).then_some(character),
            Some(starts) => starts.get(character).map(|&byte| byte as usize),
        }
    }

    /// The character that begins at a byte, or holds it.
    pub(crate) fn character(&self, byte: usize) -> usize {
        match &self.starts {
            None => byte.min(self.bytes),
            Some(starts) => match starts.binary_search(&(byte as u32)) {
                Ok(at) => at,
                Err(after) => after.saturating_sub(1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_go_both_ways() {
        for text in ["", "abc", "aé語😀b"] {
            let characters = Characters::new(text);
            for (at, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!(characters.byte(at), Some(byte));
                assert_eq!(characters.character(byte), at);
            }
            let count = text.chars().count();
            assert_eq!(characters.byte(count), Some(text.len()));
            assert_eq!(characters.byte(count + 1), None);
            assert_eq!(characters.character(text.len()), count);
        }
        assert_eq!(Characters::new("é語").character(3), 1);
    }
}
