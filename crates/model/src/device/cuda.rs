//! The CUDA devices, and what NVIDIA's driver reports about them. No device is initialised.

use cudarc::driver::{result, sys};

use super::{DeviceInfo, DeviceKind};

/// The devices that the driver lists; empty if there is no driver or no device.
pub fn all() -> Vec<DeviceInfo> {
    // SAFETY: this only tries to load the library under each of its names.
    if !unsafe { sys::is_culib_present() } || result::init().is_err() {
        return Vec::new();
    }
    let count = result::device::get_count().unwrap_or(0);
    (0..count).filter_map(info).collect()
}

/// Whether NCCL is installed.
pub fn has_nccl() -> bool {
    // SAFETY: this only tries to load the library under each of its names.
    unsafe { cudarc::nccl::sys::is_culib_present() }
}

fn info(ordinal: i32) -> Option<DeviceInfo> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
    };

    let device = result::device::get(ordinal).ok()?;
    // SAFETY: the device is one that the driver has just given.
    let attribute = |which| unsafe { result::device::get_attribute(device, which) }.unwrap_or(0);
    let major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    let minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }.ok();
    let mut version = 0;
    // SAFETY: the driver writes one number, into a place that is there.
    let known = unsafe { sys::cuDriverGetVersion(&mut version) }.result();
    // Tensor cores support f16 since compute capability 7.0, TF32 and bf16 since 8.0.
    let precisions = match major {
        8.. => vec!["f32", "tf32", "bf16", "f16"],
        7 => vec!["f32", "f16"],
        _ => vec!["f32"],
    };
    Some(DeviceInfo {
        backend: "cuda",
        index: usize::try_from(ordinal).ok()?,
        product: result::device::get_name(device).unwrap_or_else(|_| "NVIDIA GPU".into()),
        kind: DeviceKind::Discrete,
        memory_bytes: memory.map(|bytes| bytes as u64),
        driver: match known {
            Ok(()) => format!("CUDA {}.{}", version / 1000, version % 1000 / 10),
            Err(_) => "NVIDIA".into(),
        },
        api: format!("compute capability {major}.{minor}"),
        precisions,
    })
}
