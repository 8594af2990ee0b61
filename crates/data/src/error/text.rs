//! Formatting of names and lists in messages.

/// A name or label truncated to 40 characters, so that a text passed by mistake does not fill the screen.
pub(crate) fn short(name: &str) -> String {
    const SHOWN: usize = 40;
    if name.chars().count() > SHOWN {
        name.chars().take(SHOWN - 1).chain(['…']).collect()
    } else {
        name.to_string()
    }
}

/// `` `a`, `b` and 12 more ``, each name shortened by [`short`].
pub(crate) fn list(names: &[String], shown: usize) -> String {
    let quoted: Vec<String> = names
        .iter()
        .take(shown)
        .map(|name| format!("`{}`", short(name)))
        .collect();
    match names.len().saturating_sub(shown) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}
