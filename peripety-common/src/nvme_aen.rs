//! `nvme:nvme_async_event`: a controller reports something by itself.

wire_struct! {
    /// An asynchronous event (NVMe base specification, Asynchronous Event Request completion).
    NvmeAen {
        /// Instance of the controller.
        ctrl: i32,
        /// Dword 0 of the completion: type in bits 2:0, information in 15:8, log page in 23:16.
        result: u32,
    }
}
