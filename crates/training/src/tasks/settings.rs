//! Which settings of a configuration belong to which task.

/// The settings that a task has for itself, and those that it has no use for.
#[derive(Debug)]
pub(crate) struct TaskSettings {
    /// The value of `task.kind`, for messages.
    pub name: &'static str,
    /// What its own settings are about, for messages.
    pub about: &'static str,
    /// The table of its settings within `task`, which every configuration of the task has.
    pub table: Option<&'static str>,
    /// Other settings of this task alone, as keys such as `data.tag_column`.
    pub own: &'static [&'static str],
    /// Settings without meaning for this task.
    pub unused: &'static [&'static str],
    /// The default of `data.max_length` in tokens, where it differs from that of other tasks.
    pub max_length: Option<usize>,
}
