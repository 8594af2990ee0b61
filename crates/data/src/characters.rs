//! Character positions of a text.

/// Converts character positions (code points, as in Python) to byte offsets and back, in constant or logarithmic time.
#[derive(Debug, Clone)]
pub(crate) struct Characters {
    /// Byte offset of each character and of the end of the text; `None` if characters and bytes coincide, as in ASCII.
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

    /// Byte offset at which the character begins; the end of the text counts as one more character.
    pub(crate) fn byte(&self, character: usize) -> Option<usize> {
        match &self.starts {
            None => (character <= self.bytes).then_some(character),
            Some(starts) => starts.get(character).map(|&byte| byte as usize),
        }
    }

    /// The character that begins at or contains a byte.
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
