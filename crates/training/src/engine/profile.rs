//! Time of each part of an update, and memory.

use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

/// Time of one part of an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Phase {
    /// Seconds of the host: on the CPU everything, for a GPU until all work was queued.
    pub host: f64,
    /// Seconds that the host then waited for the device.
    pub device: f64,
}

impl Phase {
    /// The sum of both.
    pub fn seconds(self) -> f64 {
        self.host + self.device
    }
}

/// Time of the parts of training, on the first device.
///
/// The host waits for the device after every part. A run without a profile does not, and is a little faster on a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Profile {
    /// Updates, without the first one, in which kernels are compiled and tuned.
    pub updates: u64,
    /// Seconds of the first update.
    pub first_update: f64,
    /// Seconds of waiting for batches, which another thread prepares.
    pub batches: f64,
    /// From the batch to the loss.
    pub forward: Phase,
    /// From the loss to the gradients.
    pub backward: Phase,
    /// Summing the gradients of several devices, including the wait for the slowest of them.
    pub exchange: Phase,
    /// From the gradients to the weights, including the read of the losses.
    pub update: Phase,
    /// Seconds between updates: metrics, display, evaluations and checkpoints.
    pub between: f64,
}

impl Profile {
    /// The sum of all parts, in seconds.
    pub fn seconds(&self) -> f64 {
        let phases = [self.forward, self.backward, self.exchange, self.update];
        let phases: f64 = phases.into_iter().map(Phase::seconds).sum();
        self.batches + phases + self.between
    }

    /// The share of the time without training work for the device: waiting for batches, and everything between updates.
    /// Evaluations count as idle, although they use the device.
    pub fn idle(&self) -> f64 {
        (self.batches + self.between) / f64::max(self.seconds(), 1e-9)
    }
}

/// Measures a [`Profile`] during a run.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    device: Device,
    begun: Instant,
    pub profile: Profile,
}

impl Stopwatch {
    pub fn new(device: Device) -> Self {
        Self {
            device,
            begun: Instant::now(),
            profile: Profile::default(),
        }
    }

    /// Seconds since the end of the last part. The next part begins.
    pub fn lap(&mut self) -> f64 {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.begun = Instant::now();
        seconds
    }

    /// Ends a part of an update, waiting for the device.
    pub fn phase(&mut self, which: impl FnOnce(&mut Profile) -> &mut Phase) {
        let host = self.lap();
        // If this fails, the same error is reported when the results are read.
        let _ = self.device.sync();
        let device = self.lap();
        let phase = which(&mut self.profile);
        phase.host += host;
        phase.device += device;
    }

    /// Ends an update. Of the first one only the total time is kept.
    pub fn update_ends(&mut self) {
        let p = &mut self.profile;
        if p.first_update == 0.0 {
            let first_update = p.seconds();
            *p = Profile {
                first_update,
                ..Profile::default()
            };
        } else {
            p.updates += 1;
        }
    }
}

/// The peak resident memory of this process in bytes, if the system reports it.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_time_is_counted_and_the_first_update_apart() {
        let mut watch = Stopwatch::new(Device::flex());
        let pause = || std::thread::sleep(std::time::Duration::from_millis(2));
        for _ in 0..2 {
            pause();
            watch.profile.batches += watch.lap();
            pause();
            watch.phase(|p| &mut p.forward);
            watch.update_ends();
        }
        let p = watch.profile;
        assert_eq!(p.updates, 1);
        assert!(p.first_update >= 0.004, "{p:?}");
        assert!(p.batches >= 0.002 && p.forward.host >= 0.002, "{p:?}");
        let parts = p.batches + p.forward.host + p.forward.device;
        assert!((p.seconds() - parts).abs() < 1e-12);
        assert!((p.idle() - p.batches / p.seconds()).abs() < 1e-12);
    }
}
