//! A time such as `30m`, after which training ends.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::range::Range;
use crate::config::setting::SettingValue;

/// A time: `90s`, `30m`, `1h30m`, `2d`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BudgetForm", into = "String")]
pub struct Budget {
    /// Seconds.
    pub seconds: f64,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a time such as `30m`, `1h30m` or `90s`"
)]
enum BudgetForm {
    Text(String),
    Seconds(f64),
}

impl TryFrom<BudgetForm> for Budget {
    type Error = String;

    fn try_from(form: BudgetForm) -> Result<Self, String> {
        match form {
            BudgetForm::Text(text) => text.parse(),
            BudgetForm::Seconds(seconds) => Ok(Self { seconds }),
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time, expected one such as `30m`, `1h30m` or `90s`");
        if let Ok(seconds) = text.trim().parse() {
            return Ok(Self { seconds });
        }
        let (mut seconds, mut number) = (0.0, String::new());
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            let unit = match c {
                'd' => 86400.0,
                'h' => 3600.0,
                'm' => 60.0,
                's' => 1.0,
                _ => {
                    number.push(c);
                    continue;
                }
            };
            let n: f64 = number.parse().map_err(|_| wrong())?;
            seconds += n * unit;
            number.clear();
        }
        if number.is_empty() && !text.trim().is_empty() {
            Ok(Self { seconds })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.seconds)
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        budget.to_string()
    }
}

impl SettingValue for Budget {
    /// The range applies to the seconds.
    fn check(&self, key: &str, range: Option<Range>, problems: &mut Vec<String>) {
        problems.extend(range.and_then(|range| range.problem(key, self.seconds, self)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn budgets_are_read_in_days_to_seconds() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("30m", 1800.0),
            ("1h30m", 5400.0),
            ("12", 12.0),
        ] {
            assert_eq!(text.parse::<Budget>().unwrap().seconds, seconds);
        }
        for text in ["", "m", "3x", "10m5", "-"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }
}
