//! The wgpu adapters, and what their drivers report about them.

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use burn_dispatch::devices::{WgpuBackend, WgpuDevice, WgpuDeviceKind};

use super::{DeviceInfo, DeviceKind};

/// Every adapter reachable through a native graphics API, GPUs first. Enumerated once: Vulkan's
/// loader is not safe when several threads create and destroy instances.
///
/// OpenGL, which Burn falls back to where there is no other API, is left out: used from several
/// threads, its adapters deadlock.
pub fn all() -> &'static [(DeviceInfo, WgpuDevice)] {
    static FOUND: OnceLock<Vec<(DeviceInfo, WgpuDevice)>> = OnceLock::new();
    FOUND.get_or_init(find)
}

fn find() -> Vec<(DeviceInfo, WgpuDevice)> {
    let apis: &[(WgpuBackend, wgpu::Backend, &str)] = if cfg!(target_os = "macos") {
        &[(WgpuBackend::Metal, wgpu::Backend::Metal, "Metal")]
    } else if cfg!(windows) {
        &[
            (WgpuBackend::Dx12, wgpu::Backend::Dx12, "Direct3D 12"),
            (WgpuBackend::Vulkan, wgpu::Backend::Vulkan, "Vulkan"),
        ]
    } else {
        &[(WgpuBackend::Vulkan, wgpu::Backend::Vulkan, "Vulkan")]
    };
    for &(burn, api, name) in apis {
        let mut found = adapters(api);
        // Burn numbers each kind separately, in the order of the driver's list.
        let mut counts = [0; 5];
        let mut listed: Vec<(usize, DeviceInfo, WgpuDevice)> = Vec::new();
        for adapter in found.drain(..) {
            let said = adapter.get_info();
            let (rank, kind) = match said.device_type {
                wgpu::DeviceType::DiscreteGpu => (0, DeviceKind::Discrete),
                wgpu::DeviceType::IntegratedGpu => (1, DeviceKind::Integrated),
                wgpu::DeviceType::VirtualGpu => (2, DeviceKind::Virtual),
                wgpu::DeviceType::Other => (3, DeviceKind::Other),
                wgpu::DeviceType::Cpu => (4, DeviceKind::Software),
            };
            let nth = counts[rank];
            counts[rank] += 1;
            let place = match kind {
                DeviceKind::Discrete => WgpuDeviceKind::DiscreteGpu(nth),
                DeviceKind::Integrated => WgpuDeviceKind::IntegratedGpu(nth),
                DeviceKind::Virtual => WgpuDeviceKind::VirtualGpu(nth),
                DeviceKind::Other => WgpuDeviceKind::Other(nth),
                // Burn has only one device of this kind.
                _ if nth > 0 => continue,
                _ => WgpuDeviceKind::Cpu,
            };
            let mut precisions = vec!["f32"];
            if adapter.features().contains(wgpu::Features::SHADER_F16) {
                precisions.push("f16");
            }
            let info = DeviceInfo {
                backend: "wgpu",
                index: 0,
                product: said.name.clone(),
                kind,
                memory_bytes: memory(&adapter),
                driver: driver(&said.driver, &said.driver_info),
                api: name.into(),
                precisions,
            };
            listed.push((rank, info, WgpuDevice::new(place).on(burn)));
        }
        if !listed.is_empty() {
            listed.sort_by_key(|(rank, ..)| *rank);
            let numbered = listed.into_iter().enumerate();
            return numbered
                .map(|(index, (_, info, device))| (DeviceInfo { index, ..info }, device))
                .collect();
        }
    }
    Vec::new()
}

/// The adapters of a graphics API; empty if it is not installed.
fn adapters(api: wgpu::Backend) -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: api.into(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    // Outside a browser the future is ready at once.
    let list = pin!(instance.enumerate_adapters(api.into()));
    match list.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(adapters) => adapters,
        Poll::Pending => Vec::new(),
    }
}

/// Name and version of a driver; only one of them if it contains the other.
fn driver(name: &str, version: &str) -> String {
    match (name, version) {
        ("", said) | (said, "") => said.into(),
        (name, version) if version.starts_with(name) => version.into(),
        (name, version) => format!("{name} {version}"),
    }
}

/// The adapter's own memory, which only Vulkan reports.
#[cfg(not(target_os = "macos"))]
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    const ON_THE_DEVICE: u32 = 1; // VK_MEMORY_HEAP_DEVICE_LOCAL_BIT

    // SAFETY: nothing of the adapter is destroyed here.
    let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = vulkan.shared_instance().raw_instance();
    // SAFETY: the physical device is one of this instance, which the adapter keeps alive.
    let memory =
        unsafe { instance.get_physical_device_memory_properties(vulkan.raw_physical_device()) };
    let heaps = memory.memory_heaps_as_slice().iter();
    let local = heaps.filter(|heap| heap.flags.as_raw() & ON_THE_DEVICE != 0);
    Some(local.map(|heap| heap.size).sum())
}

#[cfg(target_os = "macos")]
fn memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_named_once() {
        assert_eq!(driver("llvmpipe", "Mesa 22.3.6"), "llvmpipe Mesa 22.3.6");
        assert_eq!(driver("radv", "radv 23"), "radv 23");
        assert_eq!(driver("", "31.0"), "31.0");
        assert_eq!(driver("NVIDIA", ""), "NVIDIA");
    }
}
