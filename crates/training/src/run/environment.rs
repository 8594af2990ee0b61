//! `environment.json`: versions, device and data of a run, and the digests of its model.

use std::collections::BTreeMap;
use std::path::Path;

use bertkit_model::Precision;
use serde_json::{Value, json};

use crate::error::TrainError;
use crate::run::devices::Devices;
use crate::run::directory::RunDirectory;
use crate::run::files::{read_error, sha256};

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

const FILE: &str = "environment.json";
/// The key of the digests of the files in `model/`.
const MODEL: &str = "model";

/// Records the SHA-256 of the weights in `model/`.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn record_model(directory: &RunDirectory) -> Result<(), TrainError> {
    let path = directory.path().join(FILE);
    let text = std::fs::read_to_string(&path).map_err(read_error(&path))?;
    // Only the user can have replaced the file; it is then left as it is.
    let Ok(Value::Object(mut environment)) = serde_json::from_str(&text) else {
        return Ok(());
    };
    let model = directory.model();
    let mut digests = BTreeMap::new();
    for entry in std::fs::read_dir(&model).map_err(read_error(&model))? {
        let file = entry.map_err(read_error(&model))?.path();
        if let Some(name) = file.file_name().and_then(|name| name.to_str())
            && name.ends_with(".safetensors")
        {
            digests.insert(name.to_owned(), sha256(&file)?);
        }
    }
    environment.insert(MODEL.into(), json!(digests));
    directory.write(FILE, &format!("{:#}\n", Value::Object(environment)))
}

/// Compares the weights in `model/` of a run directory with their recorded SHA-256. Runs of earlier versions, and folders
/// that are not run directories, have no record.
///
/// # Errors
/// A file has changed, or cannot be read.
pub(crate) fn verify_model(run: &Path) -> Result<(), TrainError> {
    let path = run.join(FILE);
    let recorded: Option<Value> = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    let digests = recorded.as_ref().and_then(|value| value[MODEL].as_object());
    for (name, expected) in digests.into_iter().flatten() {
        let file = run.join(MODEL).join(name);
        // A missing file is reported when the model is read.
        if file.is_file() && expected.as_str() != Some(sha256(&file)?.as_str()) {
            return Err(TrainError::Changed {
                path: file,
                record: path,
            });
        }
    }
    Ok(())
}
