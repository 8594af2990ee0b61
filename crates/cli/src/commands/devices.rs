//! `bertkit devices`: lists the devices of this machine.

use bertkit_model::{DeviceInfo, DeviceSpec, automatic, devices, missing_backends};
use clap::Args;
use serde_json::json;

use crate::error::CliError;
use crate::format::bytes;
use crate::process;
use crate::render;

const EXAMPLES: &str = "\
Examples:
  bertkit devices
  bertkit devices --json

The first column is what --device takes. Nothing is started: the drivers are asked for their lists.
A device that is listed is tried, with a small product, when a command is to run on it.

--device auto takes the first CUDA device, else the first adapter of wgpu that is a graphics card of
its own, else the CPU. A precision is listed where the device says that it has it.";

/// List what this machine can compute on
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DevicesArgs {
    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Prints the list.
///
/// # Errors
/// Standard output could not be written.
pub fn run(args: &DevicesArgs) -> Result<(), CliError> {
    process::leave_on_interrupt()?;
    let devices = devices();
    let auto = automatic(&devices);
    let missing = missing_backends();
    let text = match args.json {
        true => format!("{:#}\n", object(&devices, auto, &missing)),
        false => page(&devices, auto, &missing),
    };
    render::stdout(&text)
}

fn object(devices: &[DeviceInfo], auto: DeviceSpec, missing: &[&str]) -> serde_json::Value {
    let devices: Vec<_> = devices
        .iter()
        .map(|device| {
            json!({
                "device": device.name(),
                "backend": device.backend,
                "index": device.index,
                "name": device.product,
                "kind": device.kind.name(),
                "memory_bytes": device.memory_bytes,
                "driver": device.driver,
                "api": device.api,
                "precisions": device.precisions,
            })
        })
        .collect();
    json!({"devices": devices, "auto": auto.to_string(), "not_built": missing})
}

fn page(devices: &[DeviceInfo], auto: DeviceSpec, missing: &[&str]) -> String {
    let mut rows =
        vec![["device", "name", "kind", "memory", "driver", "precisions"].map(str::to_owned)];
    for device in devices {
        rows.push([
            device.name(),
            device.product.clone(),
            device.kind.name().into(),
            device.memory_bytes.map_or_else(|| "unknown".into(), bytes),
            format!("{}, {}", device.driver, device.api),
            device.precisions.join(" "),
        ]);
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
    }
    text += &format!("\n--device auto takes {auto}\n");
    for backend in missing {
        text += &format!(
            "{backend} is not in this build: cargo build --release --features {backend}\n"
        );
    }
    if !missing.contains(&"wgpu") && !devices.iter().any(|d| d.backend == "wgpu") {
        text += "wgpu finds no adapter: install a Vulkan driver (on Debian: mesa-vulkan-drivers)\n";
    }
    if !missing.contains(&"cuda") && !devices.iter().any(|d| d.backend == "cuda") {
        text += "cuda finds no device: install NVIDIA's driver, and check that nvidia-smi lists the GPU\n";
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_model::DeviceKind;

    fn card() -> DeviceInfo {
        DeviceInfo {
            backend: "cuda",
            index: 1,
            product: "A card".into(),
            kind: DeviceKind::Discrete,
            memory_bytes: Some(16 << 30),
            driver: "CUDA 12.8".into(),
            api: "compute capability 9.0".into(),
            precisions: vec!["f32", "bf16"],
        }
    }

    #[test]
    fn a_line_has_all_that_is_known_of_a_device() {
        let text = page(&[card()], DeviceSpec::Cuda(0), &["wgpu"]);
        let line = text.lines().nth(1).unwrap();
        for part in [
            "cuda:1",
            "A card",
            "discrete",
            "16.00 GiB",
            "CUDA 12.8, compute",
            "f32 bf16",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(
            text.contains("auto takes cuda:0") && text.contains("--features wgpu"),
            "{text}"
        );
    }

    #[test]
    fn the_object_has_the_same() {
        let object = object(&[card()], DeviceSpec::Cpu, &[]);
        assert_eq!(object["devices"][0]["device"], "cuda:1");
        assert_eq!(object["devices"][0]["memory_bytes"], 16u64 << 30);
        assert_eq!(object["auto"], "cpu");
    }
}
