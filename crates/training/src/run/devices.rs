//! The devices of a run, and the precision of its matrix products.

use bertkit_model::{
    Context, DeviceList, DeviceSpec, ParseDeviceError, Precision, ResolvedDevice, is_cpu,
};
use burn::tensor::Device;

use crate::engine::data_parallel::{DevicePlacement, is_collective};
use crate::error::TrainError;

/// The devices of a run: the one whose weights are saved, and those that share the work.
#[derive(Debug)]
pub(crate) struct Devices {
    pub first: ResolvedDevice,
    pub more: Vec<ResolvedDevice>,
}

impl Devices {
    /// The devices named in a configuration.
    ///
    /// # Errors
    /// A device is unknown or absent, or does not support the precision.
    pub fn of(names: &str, precision: Precision) -> Result<Self, TrainError> {
        let list: DeviceList =
            names
                .parse()
                .map_err(|error: ParseDeviceError| TrainError::Setting {
                    message: error.to_string(),
                    hint: "use `[device=auto]`".into(),
                })?;
        let mut all = list.resolve()?;
        for device in &all {
            context(device, precision)?;
        }
        let first = all.remove(0);
        Ok(Self { first, more: all })
    }

    /// The first device, with automatic differentiation.
    pub fn training(&self) -> Device {
        self.first.device.clone().autodiff()
    }

    /// The placement of the training loop.
    ///
    /// # Errors
    /// A device does not support the precision.
    pub fn placement(
        &self,
        precision: Precision,
        gradient_checkpointing: bool,
        profile: bool,
    ) -> Result<DevicePlacement, TrainError> {
        Ok(DevicePlacement {
            device: self.training(),
            more: self.more.iter().map(|more| more.device.clone()).collect(),
            context: context(&self.first, precision)?
                .with_gradient_checkpointing(gradient_checkpointing),
            profile,
        })
    }

    /// The names; with several devices, also how gradients are summed.
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
}

/// The context of evaluation on `device` in that precision.
///
/// # Errors
/// The device does not support the precision.
pub(crate) fn context(
    device: &ResolvedDevice,
    precision: Precision,
) -> Result<Context<'static>, TrainError> {
    let matmul = precision.on(&device.device);
    let matmul = matmul.map_err(|error| TrainError::Setting {
        message: format!("{error} ({})", device.name),
        hint: "use `[precision=f32]`, which every device has, or another device".into(),
    })?;
    Ok(Context::default().with_matmul_precision(matmul))
}

/// Device and precision of inference with a trained model.
#[derive(Debug)]
pub(crate) struct Inference {
    /// The device of the weights.
    pub device: ResolvedDevice,
    /// How the model is computed.
    pub context: Context<'static>,
}

impl Inference {
    /// Inference on this device, in f32.
    ///
    /// # Errors
    /// The device is absent.
    pub fn on(device: DeviceSpec) -> Result<Self, TrainError> {
        let device = device.resolve()?;
        let context = context(&device, Precision::F32)?;
        Ok(Self { device, context })
    }

    /// Sets the precision.
    ///
    /// # Errors
    /// The device does not support it.
    pub fn set(&mut self, precision: Precision) -> Result<(), TrainError> {
        self.context = context(&self.device, precision)?;
        Ok(())
    }
}

/// The summary line about the precision, unless it is f32.
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
