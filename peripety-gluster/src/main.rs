//! `peripety-gluster`: what GlusterFS knows of its volumes, bricks and peers, for peripetyd.

fn main() -> std::process::ExitCode {
    peripety_gluster::program::main()
}
