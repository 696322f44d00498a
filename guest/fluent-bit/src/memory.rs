//! Memory that the host writes to and this module reads.

use std::arch::wasm32::memory_size;
use std::cell::RefCell;
use std::slice;

const PAGE_BYTES: usize = 1 << 16;

/// A block for the host, or one that it has freed.
struct Block {
    memory: Vec<u8>,
    is_free: bool,
}

thread_local! {
    /// Used again from call to call; there are never more than the host has at the same time.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// `malloc`: an address that stays good until it is freed, or zero if there is not so much memory.
#[unsafe(export_name = "malloc")]
pub extern "C" fn allocate(bytes: usize) -> *mut u8 {
    BLOCKS.with_borrow_mut(|blocks| {
        let fits = |block: &Block| block.is_free && block.memory.capacity() >= bytes;
        let index = blocks.iter().position(fits).or_else(|| blocks.iter().position(|block| block.is_free));
        let index = index.unwrap_or_else(|| {
            blocks.push(Block { memory: Vec::new(), is_free: true });
            blocks.len() - 1
        });
        let block = &mut blocks[index];
        // At least one byte, so that its address is its own.
        if block.memory.try_reserve_exact(bytes.max(1)).is_err() {
            return std::ptr::null_mut();
        }
        block.is_free = false;
        block.memory.as_mut_ptr()
    })
}

/// `free`.
#[unsafe(export_name = "free")]
pub extern "C" fn release(address: usize) {
    BLOCKS.with_borrow_mut(|blocks| {
        if let Some(block) = blocks.iter_mut().find(|block| block.memory.as_ptr() as usize == address) {
            block.is_free = true;
        }
    });
}

/// What the host has written at `address`; `None` if that is no memory, as where it had none for a record.
pub fn read<'a>(address: usize, length: usize) -> Option<&'a [u8]> {
    let end = address.checked_add(length)?;
    if address == 0 || end > memory_size(0).saturating_mul(PAGE_BYTES) || length > isize::MAX as usize {
        return None;
    }
    // SAFETY: the bytes are within memory, which never shrinks, and any byte is a `u8`. The host
    // has written them before the call and neither writes nor frees them until it returns; nothing
    // here writes to them. The caller lets go of the slice before it returns to the host.
    Some(unsafe { slice::from_raw_parts(address as *const u8, length) })
}
