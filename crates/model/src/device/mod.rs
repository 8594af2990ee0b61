//! Devices: the only module that knows the backends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use burn::tensor::{Device, Tensor, TensorData};

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// The best available device.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The wgpu adapter with that number, or the default one.
    Wgpu(Option<usize>),
    /// The CUDA device with that number.
    Cuda(usize),
}

/// An invalid device name, or devices that cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDeviceError {
    /// Unknown name.
    #[error("`{0}` is not a device, expected auto, cpu, wgpu, wgpu:N, cuda or cuda:N")]
    Unknown(String),
    /// The devices are of different kinds, so their copies of the weights would diverge.
    #[error("`{0}` are devices of different kinds, expected several of one, such as cuda:0,cuda:1")]
    Mixed(String),
    /// NCCL does not accept the same device twice.
    #[error("`{0}` names a CUDA device twice")]
    Twice(String),
}

impl FromStr for DeviceSpec {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDeviceError::Unknown(text.into());
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

/// The devices that train the same weights: `cuda:0,cuda:1`, or a single one.
///
/// The CPU or a wgpu adapter may be listed more than once: not faster, but useful for testing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList(Vec<DeviceSpec>);

impl FromStr for DeviceList {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let specs: Vec<DeviceSpec> = text
            .split(',')
            .map(|name| name.trim().parse())
            .collect::<Result<_, _>>()?;
        let kind = std::mem::discriminant(&specs[0]);
        let mixed = specs
            .iter()
            .any(|spec| std::mem::discriminant(spec) != kind);
        if mixed || (specs.len() > 1 && specs[0] == DeviceSpec::Auto) {
            return Err(ParseDeviceError::Mixed(text.into()));
        }
        let twice = (1..specs.len()).any(|i| specs[..i].contains(&specs[i]));
        if twice && matches!(specs[0], DeviceSpec::Cuda(_)) {
            return Err(ParseDeviceError::Twice(text.into()));
        }
        Ok(Self(specs))
    }
}

impl std::fmt::Display for DeviceList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.0.iter().map(DeviceSpec::to_string).collect();
        f.write_str(&names.join(","))
    }
}

impl DeviceList {
    /// The first device.
    pub fn first(&self) -> DeviceSpec {
        self.0[0]
    }

    /// Resolves each device as [`DeviceSpec::resolve`] does; the result is never empty.
    ///
    /// # Errors
    /// A device does not exist, is not supported by this build, or does not compute.
    pub fn resolve(&self) -> Result<Vec<ResolvedDevice>, DeviceError> {
        self.0.iter().map(|spec| spec.resolve()).collect()
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not supported by this build.
    #[error("this build of bertkit cannot use `{spec}`")]
    NotBuilt {
        /// The requested device.
        spec: DeviceSpec,
        /// The Cargo feature that adds it.
        feature: &'static str,
    },
    /// Not present on this machine.
    #[error("there is no device `{spec}` on this machine ({found} found)")]
    NotThere {
        /// The requested device.
        spec: DeviceSpec,
        /// The number of devices of that kind.
        found: usize,
    },
    /// Listed, but it fails or returns wrong results.
    #[error("the device `{name}` is listed but does not compute: {reason}")]
    Broken {
        /// Its name and product name.
        name: String,
        /// The driver's message.
        reason: String,
    },
}

impl DeviceError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotBuilt { feature, .. } => {
                format!("build with `cargo build --release --features {feature}`, or use `[device=cpu]`")
            }
            Self::NotThere { found: 1.., .. } => {
                "`bertkit devices` lists those that are there".into()
            }
            Self::NotThere { spec: DeviceSpec::Cuda(_), .. } => {
                "install NVIDIA's driver and check that `nvidia-smi` lists the GPU, or use `[device=cpu]`".into()
            }
            Self::NotThere { .. } => {
                "install a Vulkan driver (on Debian: mesa-vulkan-drivers), or use `[device=cpu]`".into()
            }
            Self::Broken { name, .. } if name.starts_with("cuda") && cfg!(feature = "cuda-nvrtc") => {
                "check NVIDIA's driver, that libnvrtc is found, and that `CUDA_PATH` has CUDA's headers; or use `[device=cpu]`".into()
            }
            Self::Broken { .. } => {
                "check its driver, or use another device: `bertkit devices` lists them, and `[device=cpu]` is always there".into()
            }
        })
    }
}

/// A usable device and its name.
#[derive(Debug, Clone)]
pub struct ResolvedDevice {
    /// For inference; training uses `device.autodiff()`.
    pub device: Device,
    /// `cpu`, `wgpu:0`, …: for messages and `environment.json`.
    pub name: String,
    /// The product name of a GPU; `None` on the CPU.
    pub product: Option<String>,
}

impl ResolvedDevice {
    /// `cpu`, or `wgpu:0, PRODUCT NAME`.
    pub fn describe(&self) -> String {
        match &self.product {
            Some(product) => format!("{}, {product}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU.
    Cpu,
    /// A discrete GPU, with its own memory.
    Discrete,
    /// An integrated GPU, which shares the processor's memory.
    Integrated,
    /// A GPU provided by a virtual machine.
    Virtual,
    /// A graphics API emulated on the CPU.
    Software,
    /// The driver does not say.
    Other,
}

impl DeviceKind {
    /// A short name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "processor",
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
            Self::Other => "other",
        }
    }
}

/// What is known about a device without initialising it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `cpu`, `wgpu` or `cuda`.
    pub backend: &'static str,
    /// Its index within the backend.
    pub index: usize,
    /// Its product name.
    pub product: String,
    /// Its kind.
    pub kind: DeviceKind,
    /// Its memory, where it can be queried; for the CPU, that of the machine.
    pub memory_bytes: Option<u64>,
    /// Its driver and version; for the CPU, the number of cores.
    pub driver: String,
    /// The graphics API; the CUDA version and compute capability; or the CPU's instruction set.
    pub api: String,
    /// The supported precisions.
    pub precisions: Vec<&'static str>,
}

impl DeviceInfo {
    /// The name that selects the device.
    pub fn name(&self) -> String {
        match self.kind {
            DeviceKind::Cpu => "cpu".into(),
            _ => format!("{}:{}", self.backend, self.index),
        }
    }
}

/// Every device of this machine that this build can use, the CPU first, from the lists of the
/// drivers; no device is initialised.
pub fn devices() -> Vec<DeviceInfo> {
    let mut devices = vec![cpu_info()];
    devices.extend(wgpu_infos());
    devices.extend(cuda_infos());
    devices
}

/// The backends that are not in this build, by the name of the Cargo feature that adds each.
pub fn missing_backends() -> Vec<&'static str> {
    let built = [
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    let missing = built.iter().filter(|(_, built)| !built);
    missing.map(|(name, _)| *name).collect()
}

/// The device that `auto` selects from these: the first CUDA device, else the first discrete GPU
/// through wgpu, else the CPU.
pub fn automatic(devices: &[DeviceInfo]) -> DeviceSpec {
    let first = |backend: &str| devices.iter().find(|d| d.backend == backend);
    if first("cuda").is_some() {
        return DeviceSpec::Cuda(0);
    }
    match first("wgpu") {
        Some(adapter) if adapter.kind == DeviceKind::Discrete => DeviceSpec::Wgpu(Some(0)),
        _ => DeviceSpec::Cpu,
    }
}

impl DeviceSpec {
    /// Resolves the name from the list of devices, without trying to start any other: a failed start
    /// of one backend can break another in the same process. A GPU is then tested by multiplying two
    /// small matrices.
    ///
    /// `auto` selects CUDA, then a discrete GPU through wgpu, then the CPU.
    ///
    /// # Errors
    /// The device does not exist, is not supported by this build, or does not compute.
    pub fn resolve(self) -> Result<ResolvedDevice, DeviceError> {
        match self {
            Self::Cpu => Ok(ResolvedDevice {
                device: Device::flex(),
                name: "cpu".into(),
                product: None,
            }),
            Self::Auto => {
                let mut found = cuda_infos();
                if found.is_empty() {
                    found = wgpu_infos();
                }
                automatic(&found).resolve()
            }
            Self::Wgpu(number) => {
                if !cfg!(feature = "wgpu") {
                    return Err(self.not_built("wgpu"));
                }
                self.start(&wgpu_infos(), number.unwrap_or(0), wgpu_device)
            }
            Self::Cuda(number) => {
                if !cfg!(feature = "cuda") {
                    return Err(self.not_built("cuda"));
                }
                self.start(&cuda_infos(), number, cuda_device)
            }
        }
    }

    fn not_built(self, feature: &'static str) -> DeviceError {
        DeviceError::NotBuilt {
            spec: self,
            feature,
        }
    }

    /// The device with that index, if it is listed and computes.
    fn start(
        self,
        listed: &[DeviceInfo],
        number: usize,
        device: impl Fn(usize) -> Option<Device>,
    ) -> Result<ResolvedDevice, DeviceError> {
        let found = listed.get(number).zip(device(number));
        let Some((info, device)) = found else {
            return Err(DeviceError::NotThere {
                spec: self,
                found: listed.len(),
            });
        };
        let resolved = ResolvedDevice {
            device,
            name: info.name(),
            product: Some(info.product.clone()),
        };
        match computes(&resolved.device) {
            Ok(()) => Ok(resolved),
            Err(reason) => Err(DeviceError::Broken {
                name: resolved.describe(),
                reason,
            }),
        }
    }
}

/// Multiplies two small matrices on the device and reads the product back. Failures are
/// returned, including driver failures that make Burn panic.
fn computes(device: &Device) -> Result<(), String> {
    let product = || {
        let values: Vec<f32> = (0..16u8).map(f32::from).collect();
        let matrix: Tensor<2> = Tensor::from_data(TensorData::new(values, [4, 4]), device);
        let product = matrix.clone().matmul(matrix).try_into_data();
        let data = product.map_err(|error| error.to_string())?;
        data.try_into_vec::<f32>()
            .map_err(|error| format!("{error:?}"))
    };
    // The panic is in a thread of Burn; this thread only sees that its channel is closed.
    let product = catch_unwind(AssertUnwindSafe(product));
    let product = product.unwrap_or_else(|_| Err("its driver does not start it".into()));
    let product = product.map_err(|reason| first_line(&reason))?;
    let expected: Vec<f32> = (0..16u16)
        .map(|at| {
            let (row, column) = (at / 4, at % 4);
            let terms = (0..4).map(|k| (4 * row + k) * (4 * k + column));
            f32::from(terms.sum::<u16>())
        })
        .collect();
    // Integers below 1,000, so the product is exact even in f16 or TF32.
    match product == expected {
        true => Ok(()),
        false => Err(format!(
            "4 × 4 numbers give {product:?}, expected {expected:?}"
        )),
    }
}

/// The first non-empty line of a driver's message.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("it does not start").to_owned()
}

/// Whether tensors on this device are in CPU memory.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// Whether this is a CUDA device.
#[cfg(feature = "cuda")]
pub fn is_cuda(device: &Device) -> bool {
    use burn_dispatch::devices::CubeDevice;

    matches!(
        device.clone().inner().as_dispatch(),
        burn::backend::DispatchDevice::Cube(CubeDevice::Cuda(_))
    )
}

/// Whether this is a CUDA device.
#[cfg(not(feature = "cuda"))]
pub fn is_cuda(_device: &Device) -> bool {
    false
}

/// Whether NCCL, NVIDIA's library for several GPUs, is installed.
pub fn has_nccl() -> bool {
    #[cfg(feature = "cuda")]
    return cuda::has_nccl();
    #[cfg(not(feature = "cuda"))]
    false
}

fn cpu_info() -> DeviceInfo {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kibibytes = memory.and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    DeviceInfo {
        backend: "cpu",
        index: 0,
        product: field(&read("/proc/cpuinfo"), "model name")
            .unwrap_or_else(|| std::env::consts::ARCH.into()),
        kind: DeviceKind::Cpu,
        memory_bytes: kibibytes.map(|n| n * 1024),
        driver: format!("{cores} core{}", if cores == 1 { "" } else { "s" }),
        api: crate::vectors::instruction_set().into(),
        // The 16-bit ones by rounding: see `Precision`.
        precisions: vec!["f32", "bf16", "f16"],
    }
}

#[cfg(feature = "wgpu")]
mod adapters;
#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "wgpu")]
fn wgpu_infos() -> Vec<DeviceInfo> {
    adapters::all()
        .iter()
        .map(|(info, _)| info.clone())
        .collect()
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_infos() -> Vec<DeviceInfo> {
    Vec::new()
}

#[cfg(feature = "wgpu")]
fn wgpu_device(number: usize) -> Option<Device> {
    use burn_dispatch::devices::CubeDevice;

    let (_, device) = adapters::all().get(number)?;
    Some(Device::new(CubeDevice::Wgpu(device.clone())))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_device(_: usize) -> Option<Device> {
    None
}

#[cfg(feature = "cuda")]
fn cuda_infos() -> Vec<DeviceInfo> {
    cuda::all()
}

#[cfg(not(feature = "cuda"))]
fn cuda_infos() -> Vec<DeviceInfo> {
    Vec::new()
}

#[cfg(feature = "cuda")]
fn cuda_device(number: usize) -> Option<Device> {
    Some(Device::cuda(number))
}

#[cfg(not(feature = "cuda"))]
fn cuda_device(_: usize) -> Option<Device> {
    None
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
    fn several_devices_are_of_one_kind() {
        for names in ["cpu", "cuda:0,cuda:1", "cpu,cpu", "wgpu:0,wgpu:1"] {
            let list = names.parse::<DeviceList>().map(|list| list.to_string());
            assert_eq!(list, Ok(names.into()));
        }
        let error = |names: &str| names.parse::<DeviceList>().err();
        assert!(matches!(
            error("cpu,cuda:0"),
            Some(ParseDeviceError::Mixed(_))
        ));
        assert!(matches!(
            error("auto,auto"),
            Some(ParseDeviceError::Mixed(_))
        ));
        assert!(matches!(
            error("cuda,cuda:0"),
            Some(ParseDeviceError::Twice(_))
        ));
        assert!(matches!(error("cpu,"), Some(ParseDeviceError::Unknown(_))));
    }

    #[test]
    fn a_cuda_device_that_is_not_there_is_refused_with_a_hint() {
        let error = DeviceSpec::Cuda(99).resolve().map(|d| d.name);
        assert!(error.is_err_and(|e| e.hint().is_some()));
    }

    #[test]
    fn auto_takes_cuda_then_a_card_of_its_own_then_the_cpu() {
        let device = |backend, kind| DeviceInfo {
            backend,
            kind,
            ..cpu_info()
        };
        let cpu = cpu_info();
        let software = device("wgpu", DeviceKind::Software);
        let integrated = device("wgpu", DeviceKind::Integrated);
        let card = device("wgpu", DeviceKind::Discrete);
        let cuda = device("cuda", DeviceKind::Discrete);
        assert_eq!(automatic(&[]), DeviceSpec::Cpu);
        assert_eq!(automatic(&[cpu.clone(), software]), DeviceSpec::Cpu);
        assert_eq!(automatic(&[cpu.clone(), integrated]), DeviceSpec::Cpu);
        assert_eq!(automatic(&[cpu, card.clone()]), DeviceSpec::Wgpu(Some(0)));
        assert_eq!(automatic(&[card, cuda]), DeviceSpec::Cuda(0));
    }

    #[test]
    fn the_cpu_is_listed_first_and_computes() {
        let listed = devices();
        assert_eq!(listed[0].name(), "cpu");
        assert_eq!(computes(&Device::flex()), Ok(()));
    }

    #[test]
    fn the_cpu_is_recognised_with_and_without_autodiff() {
        assert!(is_cpu(&Device::flex()) && is_cpu(&Device::flex().autodiff()));
    }
}
