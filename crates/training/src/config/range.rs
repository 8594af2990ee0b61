//! The range of a number: its check and its description.

use std::fmt;

/// A range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: Bound,
    high: Bound,
    words: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    None,
    Included(f64),
    Excluded(f64),
}

/// At least this number.
pub fn at_least(low: f64) -> Range {
    Range {
        low: Bound::Included(low),
        high: Bound::None,
        words: None,
    }
}

/// Above this number.
pub fn more_than(low: f64) -> Range {
    Range {
        low: Bound::Excluded(low),
        high: Bound::None,
        words: None,
    }
}

/// Any finite number.
pub fn any_finite() -> Range {
    Range {
        low: Bound::None,
        high: Bound::None,
        words: None,
    }
}

impl Range {
    /// Up to this number.
    #[must_use]
    pub fn at_most(mut self, high: f64) -> Self {
        self.high = Bound::Included(high);
        self
    }

    /// Below this number.
    #[must_use]
    pub fn less_than(mut self, high: f64) -> Self {
        self.high = Bound::Excluded(high);
        self
    }

    /// Sets its description.
    #[must_use]
    pub fn described(mut self, words: &'static str) -> Self {
        self.words = Some(words);
        self
    }

    /// Whether a finite number is in the range.
    pub fn contains(&self, number: f64) -> bool {
        let above = match self.low {
            Bound::None => true,
            Bound::Included(low) => number >= low,
            Bound::Excluded(low) => number > low,
        };
        let below = match self.high {
            Bound::None => true,
            Bound::Included(high) => number <= high,
            Bound::Excluded(high) => number < high,
        };
        number.is_finite() && above && below
    }

    /// The error message for a number out of range; `shown` is the number as written.
    pub(super) fn problem(
        &self,
        key: &str,
        number: f64,
        shown: impl fmt::Display,
    ) -> Option<String> {
        match (self.contains(number), self.low, self.high) {
            (true, ..) => None,
            (false, Bound::None, Bound::None) => Some(format!("`{key}` is no finite number")),
            _ => Some(format!("`{key}` is {shown}, expected {self}")),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(words) = self.words {
            return f.write_str(words);
        }
        match (self.low, self.high) {
            (Bound::None, Bound::None) => f.write_str("a number"),
            (Bound::None, Bound::Included(high)) => write!(f, "at most {high}"),
            (Bound::None, Bound::Excluded(high)) => write!(f, "less than {high}"),
            (Bound::Included(low), Bound::None) => write!(f, "{low} or more"),
            (Bound::Included(low), Bound::Included(high)) => write!(f, "{low} to {high}"),
            (Bound::Included(low), Bound::Excluded(high)) => write!(f, "{low} to below {high}"),
            (Bound::Excluded(low), Bound::None) => write!(f, "more than {low}"),
            (Bound::Excluded(low), Bound::Included(high)) => {
                write!(f, "more than {low}, at most {high}")
            }
            (Bound::Excluded(low), Bound::Excluded(high)) => {
                write!(f, "more than {low} and less than {high}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_and_put_into_words() {
        for (range, words, inside, outside) in [
            (
                at_least(1.0),
                "1 or more",
                vec![1.0, 9.0],
                vec![0.0, f64::INFINITY],
            ),
            (
                more_than(0.0),
                "more than 0",
                vec![1e-9],
                vec![0.0, f64::NAN],
            ),
            (
                at_least(0.0).at_most(0.9),
                "0 to 0.9",
                vec![0.0, 0.9],
                vec![-0.1, 0.91],
            ),
            (
                at_least(0.0).less_than(1.0),
                "0 to below 1",
                vec![0.0],
                vec![1.0],
            ),
            (
                more_than(0.0).at_most(2.0),
                "more than 0, at most 2",
                vec![2.0],
                vec![0.0],
            ),
            (
                more_than(0.0).less_than(1.0),
                "more than 0 and less than 1",
                vec![0.5],
                vec![0.0, 1.0],
            ),
            (
                any_finite(),
                "a number",
                vec![-1e300],
                vec![f64::NEG_INFINITY],
            ),
        ] {
            assert_eq!(range.to_string(), words);
            assert!(inside.iter().all(|&n| range.contains(n)), "{words}");
            assert!(!outside.iter().any(|&n| range.contains(n)), "{words}");
        }
        assert_eq!(
            at_least(4.0).problem("data.max_length", 3.0, 3),
            Some("`data.max_length` is 3, expected 4 or more".into())
        );
    }
}
