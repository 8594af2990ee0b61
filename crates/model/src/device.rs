//! Which device a run computes on: the one place that knows the backends.

use std::str::FromStr;

use burn::tensor::Device;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// The best that is there; the CPU if no GPU is.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The wgpu adapter with that number, or the default one.
    Wgpu(Option<usize>),
    /// The CUDA device with that number.
    Cuda(usize),
}

/// The name of a device that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a device, expected auto, cpu, wgpu, wgpu:N, cuda or cuda:N")]
pub struct ParseDeviceError(String);

impl FromStr for DeviceSpec {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDeviceError(text.into());
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse().map_err(|_| error())?)),
            None => (text, None),
        };
        match (name, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("wgpu", n) => Ok(Self::Wgpu(n)),
            ("cuda", n) => Ok(Self::Cuda(n.unwrap_or(0))),
            _ => Err(error()),
        }
    }
}

impl std::fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Wgpu(Some(n)) => write!(f, "wgpu:{n}"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// This build has no code for it.
    #[error("this build of bertkit cannot use `{spec}`")]
    NotBuilt {
        /// What was asked for.
        spec: DeviceSpec,
        /// The feature of the build that brings it.
        feature: &'static str,
    },
    /// The machine does not have it.
    #[error("there is no device `{spec}` on this machine ({found} found)")]
    NotThere {
        /// What was asked for.
        spec: DeviceSpec,
        /// How many devices of that kind there are.
        found: usize,
    },
}

impl DeviceError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotBuilt { feature, .. } => {
                format!("build with `cargo build --release --features {feature}`, or use `--device cpu`")
            }
            Self::NotThere { spec: DeviceSpec::Cuda(_), .. } => {
                "install NVIDIA's driver and check that `nvidia-smi` lists the GPU, or use `--device cpu`".into()
            }
            Self::NotThere { .. } => {
                "install a Vulkan driver (on Debian: mesa-vulkan-drivers), or use `--device cpu`".into()
            }
        })
    }
}

/// A device that is there, and what it is called.
#[derive(Debug, Clone)]
pub struct ResolvedDevice {
    /// For inference; training uses `device.autodiff()`.
    pub device: Device,
    /// `cpu`, `wgpu:0`, …, for the user and for `environment.json`.
    pub name: String,
}

impl DeviceSpec {
    /// Finds the device, by asking for the list of what is there and never by trying: a failed
    /// start of one backend can break another in the same process.
    ///
    /// `auto` takes CUDA, then a wgpu adapter that is no CPU, then the CPU.
    ///
    /// # Errors
    /// The device is not there, or not in this build.
    pub fn resolve(self) -> Result<ResolvedDevice, DeviceError> {
        let cpu = || ResolvedDevice {
            device: Device::flex(),
            name: "cpu".into(),
        };
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Auto => {
                if let Ok(device) = cuda(0) {
                    return Ok(device);
                }
                Ok(discrete_wgpu().unwrap_or_else(cpu))
            }
            Self::Wgpu(number) => wgpu(number),
            Self::Cuda(number) => cuda(number),
        }
    }
}

/// Whether tensors of this device lie in the CPU's memory.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// Every adapter that a native graphics API reaches, graphics cards first.
///
/// OpenGL, which Burn falls back to where there is no other, is left out: under several threads
/// its adapters wait for each other for ever.
#[cfg(feature = "wgpu")]
fn wgpu_devices() -> Vec<(burn_dispatch::devices::WgpuDeviceKind, Device)> {
    use burn_dispatch::devices::{CubeDevice, WgpuBackend, WgpuDevice, WgpuDeviceKind};

    let apis: &[WgpuBackend] = if cfg!(target_os = "macos") {
        &[WgpuBackend::Metal]
    } else if cfg!(windows) {
        &[WgpuBackend::Dx12, WgpuBackend::Vulkan]
    } else {
        &[WgpuBackend::Vulkan]
    };
    let kinds = [
        WgpuDeviceKind::DiscreteGpu(0),
        WgpuDeviceKind::IntegratedGpu(0),
        WgpuDeviceKind::VirtualGpu(0),
        WgpuDeviceKind::Other(0),
        WgpuDeviceKind::Cpu,
    ];
    for &api in apis {
        let mut found: Vec<(WgpuDeviceKind, Device)> = Vec::new();
        for kind in kinds.clone() {
            let like = CubeDevice::Wgpu(WgpuDevice::new(kind).on(api)).to_id();
            for id in CubeDevice::enumerate(like) {
                let cube = CubeDevice::from_id(id);
                let CubeDevice::Wgpu(adapter) = &cube else {
                    continue;
                };
                let kind = adapter.kind.clone();
                let device = Device::new(cube);
                if !found.iter().any(|(_, known)| *known == device) {
                    found.push((kind, device));
                }
            }
        }
        if !found.is_empty() {
            let rank = |kind: &WgpuDeviceKind| {
                kinds
                    .iter()
                    .position(|k| std::mem::discriminant(k) == std::mem::discriminant(kind))
            };
            found.sort_by_key(|(kind, _)| rank(kind));
            return found;
        }
    }
    Vec::new()
}

#[cfg(feature = "wgpu")]
fn wgpu(number: Option<usize>) -> Result<ResolvedDevice, DeviceError> {
    let devices = wgpu_devices();
    let found = devices.len();
    let index = number.unwrap_or(0);
    match devices.into_iter().nth(index) {
        Some((_, device)) => Ok(ResolvedDevice {
            device,
            name: format!("wgpu:{index}"),
        }),
        None => Err(DeviceError::NotThere {
            spec: DeviceSpec::Wgpu(number),
            found,
        }),
    }
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(number: Option<usize>) -> Result<ResolvedDevice, DeviceError> {
    Err(DeviceError::NotBuilt {
        spec: DeviceSpec::Wgpu(number),
        feature: "wgpu",
    })
}

/// The first adapter, if it is a graphics card of its own.
#[cfg(feature = "wgpu")]
fn discrete_wgpu() -> Option<ResolvedDevice> {
    let (kind, device) = wgpu_devices().into_iter().next()?;
    matches!(kind, burn_dispatch::devices::WgpuDeviceKind::DiscreteGpu(_)).then(|| ResolvedDevice {
        device,
        name: "wgpu:0".into(),
    })
}

#[cfg(not(feature = "wgpu"))]
fn discrete_wgpu() -> Option<ResolvedDevice> {
    None
}

#[cfg(feature = "cuda")]
fn cuda(number: usize) -> Result<ResolvedDevice, DeviceError> {
    let devices = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    let found = devices.len();
    match devices.into_iter().nth(number) {
        Some(device) => Ok(ResolvedDevice {
            device,
            name: format!("cuda:{number}"),
        }),
        None => Err(DeviceError::NotThere {
            spec: DeviceSpec::Cuda(number),
            found,
        }),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(number: usize) -> Result<ResolvedDevice, DeviceError> {
    Err(DeviceError::NotBuilt {
        spec: DeviceSpec::Cuda(number),
        feature: "cuda",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_round_trip_and_others_are_refused() {
        for name in ["auto", "cpu", "wgpu", "wgpu:2", "cuda:0"] {
            assert_eq!(
                name.parse::<DeviceSpec>().map(|spec| spec.to_string()),
                Ok(name.into())
            );
        }
        assert_eq!("cuda".parse(), Ok(DeviceSpec::Cuda(0)));
        for name in ["gpu", "cpu:1", "wgpu:x", ""] {
            assert!(name.parse::<DeviceSpec>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_cuda_device_that_is_not_there_is_refused_with_a_hint() {
        let error = DeviceSpec::Cuda(99).resolve().map(|d| d.name);
        assert!(error.is_err_and(|e| e.hint().is_some()));
    }

    #[test]
    fn the_cpu_is_recognised_with_and_without_autodiff() {
        assert!(is_cpu(&Device::flex()) && is_cpu(&Device::flex().autodiff()));
    }
}
