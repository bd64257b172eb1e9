//! NVIDIA's own MPS control daemon, of two drivers, in a bed: it runs without a GPU.

use super::{Bed, in_each_bed};

in_each_bed!(the_real_daemon_answers: driver_535 = Trixie Own "535", driver_550 = Trixie Own "550");

fn the_real_daemon_answers(mut bed: Bed, driver: &str) {
    bed.mps(driver);
    let answer = bed.run(
        "nvidia-cuda-mps-control -d && ask() { echo \"$1\" | nvidia-cuda-mps-control; }
         ask get_default_active_thread_percentage; ask 'set_default_active_thread_percentage 25'
         ask get_default_active_thread_percentage; ask quit",
    );
    assert_eq!(answer.ok().lines().collect::<Vec<_>>(), ["100.0", "25.0", "25.0"]);
}
