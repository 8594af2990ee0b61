//! Gradients of several devices to their sum on each of them.

use bertkit_model::weights::to_vec;
use bertkit_model::{has_nccl, is_cuda};
use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::optimizer::GradientSum;

/// Elements that travel together: enough to fill a bus, and little beside the gradients themselves.
const BUCKET: usize = 1 << 24;

/// Whether these devices sum up among themselves, through NCCL; else the host's memory lies between them.
pub(crate) fn is_collective(devices: &[Device]) -> bool {
    devices.len() > 1 && devices.iter().all(is_cuda) && has_nccl()
}

/// Gradients on each of `devices`, to their sum over all, on each.
///
/// Parameters that no device has a gradient of have none afterwards; where some have one, the others count as 0.
pub(crate) fn sum_over(mut found: Vec<GradientSum>, devices: &[Device]) -> Vec<GradientSum> {
    let mut sizes: Vec<(String, usize)> = found.iter().flat_map(GradientSum::sizes).collect();
    sizes.sort();
    sizes.dedup();
    let collective = is_collective(devices);
    let mut first = 0;
    while first < sizes.len() {
        let mut last = first;
        let mut elements = 0;
        while last < sizes.len() && (last == first || elements + sizes[last].1 <= BUCKET) {
            elements += sizes[last].1;
            last += 1;
        }
        let bucket = &sizes[first..last];
        first = last;
        let flat = found.iter_mut().zip(devices).map(|(found, device)| {
            let parts = bucket.iter().map(|(path, n)| {
                let gradient = found.take(path);
                gradient.unwrap_or_else(|| Tensor::zeros([*n], &device.clone().inner()))
            });
            Tensor::cat(parts.collect(), 0)
        });
        let flat: Vec<Tensor<1>> = flat.collect();
        let summed = if collective {
            sum_on_devices(flat, devices)
        } else {
            sum_on_host(flat, devices)
        };
        for (found, sum) in found.iter_mut().zip(summed) {
            let mut start = 0;
            for (path, n) in bucket {
                found.put(path.clone(), sum.clone().narrow(0, start, *n));
                start += n;
            }
        }
    }
    found
}

/// Burn's collective sum. Every device takes part from a thread of its own, because none goes on before all are there.
fn sum_on_devices(flat: Vec<Tensor<1>>, devices: &[Device]) -> Vec<Tensor<1>> {
    let ids: Vec<Device> = devices
        .iter()
        .map(|device| device.clone().inner())
        .collect();
    std::thread::scope(|scope| {
        let each = flat.into_iter().map(|flat| {
            let ids = ids.clone();
            scope.spawn(move || all_reduce(flat, ReduceOperation::Sum, ids).resolve())
        });
        let each: Vec<_> = each.collect();
        each.into_iter().map(super::update::joined).collect()
    })
}

/// In the order of the devices, so that the sum does not depend on which is faster.
fn sum_on_host(flat: Vec<Tensor<1>>, devices: &[Device]) -> Vec<Tensor<1>> {
    let mut flat = flat.into_iter();
    let mut sum = flat.next().map(to_vec).unwrap_or_default();
    for other in flat {
        let other = to_vec(other);
        sum.par_iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
    }
    let n = sum.len();
    let place = |device: &Device| {
        Tensor::from_data(TensorData::new(sum.clone(), [n]), &device.clone().inner())
    };
    devices.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_over_devices_is_that_of_all_and_on_each() {
        let device = Device::flex();
        let gradients = |parts: &[(&str, &[f32])]| {
            let mut sum = GradientSum::default();
            for (path, values) in parts {
                let values = TensorData::new(values.to_vec(), [values.len()]);
                sum.put((*path).into(), Tensor::from_data(values, &device));
            }
            sum
        };
        let found = vec![
            gradients(&[("b", &[1.0, 2.0]), ("a", &[0.5])]),
            gradients(&[("b", &[10.0, 20.0]), ("c", &[4.0, 5.0, 6.0])]),
        ];
        let devices = [device.clone(), device.clone()];
        for mut sum in sum_over(found, &devices) {
            let mut value = |path| sum.take(path).map(to_vec);
            assert_eq!(value("a"), Some(vec![0.5]));
            assert_eq!(value("b"), Some(vec![11.0, 22.0]));
            assert_eq!(value("c"), Some(vec![4.0, 5.0, 6.0]));
            assert_eq!(value("d"), None);
        }
    }
}
