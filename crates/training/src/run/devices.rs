//! The devices of a run, and the precision of its matrix products.

use bertkit_model::{
    Computing, DeviceList, DeviceSpec, ParseDeviceError, Precision, Products, ResolvedDevice,
    is_cpu, with_products,
};
use burn::tensor::Device;

use crate::engine::data_parallel::{DevicePlacement, is_collective};
use crate::error::TrainError;

/// The devices of a run: the one of the weights that are kept, and those that share the work.
#[derive(Debug)]
pub(crate) struct Devices {
    pub first: ResolvedDevice,
    pub more: Vec<ResolvedDevice>,
}

impl Devices {
    /// Those of a configuration, which have that precision all of them.
    pub fn of(names: &str, precision: Precision) -> Result<Self, TrainError> {
        let list: DeviceList =
            names
                .parse()
                .map_err(|error: ParseDeviceError| TrainError::Setting {
                    message: error.to_string(),
                    hint: "use `--device auto`".into(),
                })?;
        let mut all = list.resolve()?;
        for device in &all {
            products(device, precision)?;
        }
        let first = all.remove(0);
        Ok(Self { first, more: all })
    }

    /// The first for training.
    pub fn training(&self) -> Device {
        self.first.device.clone().autodiff()
    }

    /// The placement of the training loop.
    pub fn placement(&self, profile: bool) -> DevicePlacement {
        DevicePlacement {
            device: self.training(),
            more: self.more.iter().map(|more| more.device.clone()).collect(),
            profile,
        }
    }

    /// Their names; of several, how gradients come from one to the other.
    pub fn describe(&self) -> String {
        if self.more.is_empty() {
            return self.first.describe();
        }
        let all = || std::iter::once(&self.first).chain(&self.more);
        let names: Vec<String> = all().map(ResolvedDevice::describe).collect();
        let devices: Vec<Device> = all().map(|one| one.device.clone()).collect();
        let way = if is_collective(&devices) {
            "NCCL"
        } else {
            "the host's memory"
        };
        format!("{}; gradients summed through {way}", names.join(" and "))
    }

    /// How they compute the products of that precision.
    pub fn products(&self, precision: Precision) -> Result<Products, TrainError> {
        products(&self.first, precision)
    }
}

/// How the device computes the products of that precision.
pub(crate) fn products(
    device: &ResolvedDevice,
    precision: Precision,
) -> Result<Products, TrainError> {
    precision
        .on(&device.device)
        .map_err(|error| TrainError::Setting {
            message: format!("{error} ({})", device.name),
            hint: "use `--precision f32`, which every device has, or another device".into(),
        })
}

/// Where a finished model answers, and in which precision.
#[derive(Debug)]
pub(crate) struct Inference {
    /// The device of its weights.
    pub device: ResolvedDevice,
    products: Products,
}

impl Inference {
    /// On that device, in f32.
    pub fn on(device: DeviceSpec) -> Result<Self, TrainError> {
        let device = device.resolve()?;
        let products = products(&device, Precision::F32)?;
        Ok(Self { device, products })
    }

    /// In another precision from now on.
    pub fn set(&mut self, precision: Precision) -> Result<(), TrainError> {
        self.products = products(&self.device, precision)?;
        Ok(())
    }

    /// Runs the model.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        with_products(self.products, work)
    }
}

/// How this thread computes a run: its products, and whether layers are computed again.
pub(crate) fn computing<R>(products: Products, recompute: bool, run: impl FnOnce() -> R) -> R {
    Computing {
        products,
        recompute,
    }
    .run(run)
}

/// What a run says of its precision, if it is not the usual one.
pub(crate) fn precision_line(devices: &Devices, precision: Precision) -> Option<(String, String)> {
    let emulated = if is_cpu(&devices.first.device) {
        "; the CPU rounds and multiplies in f32, slower than f32 alone"
    } else {
        ""
    };
    (precision != Precision::F32).then(|| {
        let text = format!("{precision} products, all else f32{emulated}");
        ("precision".into(), text)
    })
}
