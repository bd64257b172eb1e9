//! Link options: the SONAME that programs look for, and no symbols for debuggers, since every
//! simulated node gets a copy of the library and of the program.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnvidia-ml.so.1");
    println!("cargo:rustc-cdylib-link-arg=-Wl,--strip-all");
    println!("cargo:rustc-link-arg-bins=-Wl,--strip-all");
    println!("cargo:rerun-if-changed=build.rs");
}
