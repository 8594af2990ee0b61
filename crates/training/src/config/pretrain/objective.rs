//! The list of objectives as a setting: the table `objective`, and its flag.

use std::sync::LazyLock;

use toml::{Table, Value};

use crate::config::flag::{Flag, flag};
use crate::config::range::{Range, at_least};
use crate::config::setting::{Setting, SettingValue, join};
use crate::pretrain::objective_list::ObjectiveList;
use crate::pretrain::objectives::Objective;

/// The flag that sets the list by a short form.
pub(super) fn objective_flag() -> Flag {
    static HELP: LazyLock<String> = LazyLock::new(ObjectiveList::help);
    static FORMS: LazyLock<String> = LazyLock::new(|| ObjectiveList::forms().join("|"));
    flag("Objective", "objective", HELP.as_str())
        .value(FORMS.as_str())
        .with(short_form)
        .default("mlm")
}

/// The table of weights of a short form.
pub(super) fn spelled_out(name: &Value) -> Option<Table> {
    let named: ObjectiveList = name.as_str()?.parse().ok()?;
    Table::try_from(named).ok()
}

/// Checks the text of the flag.
fn short_form(text: &str) -> Result<Value, String> {
    text.parse::<ObjectiveList>()
        .map(|_| Value::String(text.into()))
}

impl SettingValue for ObjectiveList {
    fn parts() -> Vec<Setting> {
        let default = Self::default();
        let weight = |&objective: &Objective| {
            Setting::new::<f64>(objective.key(), objective.weight_doc())
                .range(at_least(0.0))
                .default(default.weight(objective))
        };
        Objective::ALL.iter().map(weight).collect()
    }

    fn check(&self, key: &str, _range: Option<Range>, problems: &mut Vec<String>) {
        for &objective in Objective::ALL {
            let key = join(key, objective.key());
            self.weight(objective)
                .check(&key, Some(at_least(0.0)), problems);
        }
    }
}
