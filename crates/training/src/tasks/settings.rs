//! Which settings of a configuration belong to which task.

/// The settings that only this task has, and those that it does not use.
#[derive(Debug)]
pub(crate) struct TaskSettings {
    /// The value of `task.kind`, for messages.
    pub name: &'static str,
    /// What its own settings are about, for messages.
    pub about: &'static str,
    /// The table of its settings within `task`, which every configuration of the task has.
    pub table: Option<&'static str>,
    /// Other settings that only this task has, as keys such as `data.tag_column`.
    pub own: &'static [&'static str],
    /// Settings that this task does not use.
    pub unused: &'static [&'static str],
    /// The default of `data.max_length` in tokens, if it differs from that of other tasks.
    pub max_length: Option<usize>,
}
