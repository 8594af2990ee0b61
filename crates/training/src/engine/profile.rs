//! Where the time of training goes.

use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

/// Time of one part of an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Phase {
    /// Seconds in which the host did its part: on the CPU all of it, for a GPU until everything was handed over.
    pub host: f64,
    /// Seconds that the host then waited until the device was done.
    pub device: f64,
}

impl Phase {
    /// Both.
    pub fn seconds(self) -> f64 {
        self.host + self.device
    }
}

/// Where the time of training went, on the first device.
///
/// The device is waited for behind every part, which a run without a profile does not do: a GPU is then a little
/// faster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Profile {
    /// Updates that are counted; the first one, in which kernels are compiled and chosen, is not.
    pub updates: u64,
    /// Seconds of the first update.
    pub first_update: f64,
    /// Seconds until the batches were there, which other threads make ahead.
    pub batches: f64,
    /// From the batch to the loss.
    pub forward: Phase,
    /// From the loss to the gradients.
    pub backward: Phase,
    /// Until the gradients of several devices are summed up; also the wait for the slowest of them.
    pub exchange: Phase,
    /// From the gradients to the weights; also reading the losses.
    pub update: Phase,
    /// Seconds between updates: records, the display, evaluations and checkpoints.
    pub between: f64,
}

impl Profile {
    /// Seconds of everything.
    pub fn seconds(&self) -> f64 {
        let phases = [self.forward, self.backward, self.exchange, self.update];
        let phases: f64 = phases.into_iter().map(Phase::seconds).sum();
        self.batches + phases + self.between
    }

    /// The share of the time in which the device had nothing to do for certain: batches were not there yet, or something
    /// else was done. Evaluations count as such, although they use the device too.
    pub fn idle(&self) -> f64 {
        (self.batches + self.between) / f64::max(self.seconds(), 1e-9)
    }
}

/// Measures a [`Profile`] while a run goes on.
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

    /// Seconds since the last part ended; the next one begins.
    pub fn lap(&mut self) -> f64 {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.begun = Instant::now();
        seconds
    }

    /// A part of an update ends: the device is waited for.
    pub fn phase(&mut self, which: impl FnOnce(&mut Profile) -> &mut Phase) {
        let host = self.lap();
        // What fails here fails again where the results are read, and is told there.
        let _ = self.device.sync();
        let device = self.lap();
        let phase = which(&mut self.profile);
        phase.host += host;
        phase.device += device;
    }

    /// An update ends. Of the first one only its time is kept.
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

/// The largest resident memory of this process so far, in bytes, where the system tells.
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
