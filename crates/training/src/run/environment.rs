//! `environment.json`: versions, device and data of a run.

use std::path::Path;

use bertkit_model::Precision;
use serde_json::{Value, json};

use crate::run::devices::Devices;

/// The content of `environment.json`; `data` are files with their SHA-256.
pub(crate) fn environment<'a>(
    devices: &Devices,
    precision: Precision,
    seed: u64,
    data: impl Iterator<Item = (&'a Path, &'a str)>,
    command: &[String],
) -> Value {
    let files: Vec<_> = data
        .map(|(path, hash)| json!({"path": path, "sha256": hash}))
        .collect();
    json!({
        "bertkit": env!("CARGO_PKG_VERSION"),
        "commit": env!("BERTKIT_COMMIT"),
        "burn": "0.22.1",
        "device": devices.describe(),
        "precision": precision,
        "threads": rayon::current_num_threads(),
        "seed": seed,
        "data": files,
        "command": command,
    })
}
