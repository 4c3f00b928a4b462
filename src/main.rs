//! usher: takes a crowd from "tickets open at 20:00" to "you have seats G7
//! and G8". One binary, its roles as subcommands.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod beacons;
mod cli;
mod config;
mod fetch;
mod logging;
mod pages;
mod plan;
mod rehearse;
mod roles;
mod sample;
mod shutdown;
mod verify_draw;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Requests, commands and records are made in one thread and freed in another,
/// which costs the system's allocator much more.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Before anything that may speak TLS: several libraries panic without one.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return cli::fail("another TLS provider was installed before ours");
    }
    cli::Cli::parse().run()
}
