//! Formats counts, durations and sizes for display.

/// `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.4 s`, `12 s`, `3 min 20 s`, `1 h 05 min`, `2 d 03 h`.
pub fn duration(seconds: f64) -> String {
    if seconds.is_nan() || seconds < 0.0 {
        return "unknown time".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    // The conversion saturates: an infinite time prints as a very long one.
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// `512 B`, `3.4 MiB`, `1.20 GiB`.
pub fn bytes(number: u64) -> String {
    const KIB: f64 = 1024.0;
    let number = number as f64;
    if number < KIB {
        format!("{number} B")
    } else if number < KIB * KIB {
        format!("{:.1} KiB", number / KIB)
    } else if number < KIB * KIB * KIB {
        format!("{:.1} MiB", number / KIB / KIB)
    } else {
        format!("{:.2} GiB", number / KIB / KIB / KIB)
    }
}

/// A count with its noun: `1 row`, `2 rows`.
pub fn plural(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown: Vec<_> = [0, 999, 1000, 12_345, 1_234_567]
            .into_iter()
            .map(count)
            .collect();
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(
            (plural(1, "row"), plural(2000, "row")),
            ("1 row".into(), "2,000 rows".into())
        );
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown: Vec<_> = [0.04, 9.96, 59.4, 200.0, 3900.0, 183_600.0]
            .into_iter()
            .map(duration)
            .collect();
        assert_eq!(
            shown,
            [
                "0.0 s",
                "10 s",
                "59 s",
                "3 min 20 s",
                "1 h 05 min",
                "2 d 03 h"
            ]
        );
        assert_eq!(duration(f64::NAN), "unknown time");
        assert!(duration(f64::INFINITY).ends_with('h'));
    }

    #[test]
    fn bytes_are_counted_in_powers_of_1024() {
        let shown: Vec<_> = [512, 2048, 3_565_158, 1_288_490_189]
            .into_iter()
            .map(bytes)
            .collect();
        assert_eq!(shown, ["512 B", "2.0 KiB", "3.4 MiB", "1.20 GiB"]);
    }
}
