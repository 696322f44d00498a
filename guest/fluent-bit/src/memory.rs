//! Memory that the host writes to and this module reads.

use std::arch::wasm32::memory_size;
use std::cell::Cell;
use std::{ptr, slice};

const PAGE_BYTES: usize = 1 << 16;

/// A block for the host, or one that it has freed.
struct Block {
    memory: Vec<u8>,
    is_free: bool,
}

thread_local! {
    /// Used again from call to call; there are never more than the host has at the same time.
    static BLOCKS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
}

/// `malloc`: an address that stays good until it is freed, or zero if there is not so much memory.
#[unsafe(export_name = "malloc")]
pub extern "C" fn allocate(bytes: usize) -> *mut u8 {
    let mut blocks = BLOCKS.take();
    if blocks.iter().all(|block| !block.is_free) {
        blocks.push(Block { memory: Vec::new(), is_free: true });
    }
    // The smallest that fits, else the smallest, which grows.
    let free = blocks.iter_mut().filter(|block| block.is_free);
    let block = free.min_by_key(|block| (block.memory.capacity() < bytes, block.memory.capacity()));
    let block = block.expect("one is free");
    // At least one byte, so that its address is its own.
    let is_enough = block.memory.try_reserve_exact(bytes.max(1)).is_ok();
    block.is_free = !is_enough;
    let address = if is_enough { block.memory.as_mut_ptr() } else { ptr::null_mut() };
    BLOCKS.set(blocks);
    address
}

/// `free`.
#[unsafe(export_name = "free")]
pub extern "C" fn release(address: usize) {
    let mut blocks = BLOCKS.take();
    if let Some(block) = blocks.iter_mut().find(|block| block.memory.as_ptr() as usize == address) {
        block.is_free = true;
    }
    BLOCKS.set(blocks);
}

/// What the host has written at `address`; `None` if that is no memory, as where it had none for a record.
///
/// # Safety
///
/// Nothing may write to these bytes, or free them, while the slice is in use.
pub unsafe fn read<'a>(address: usize, length: usize) -> Option<&'a [u8]> {
    let end = address.checked_add(length)?;
    if address == 0 || end > memory_size(0).saturating_mul(PAGE_BYTES) || length > isize::MAX as usize {
        return None;
    }
    // SAFETY: the bytes are within memory, which never shrinks, and any byte is a `u8`. That they
    // stay what they are is the caller's part.
    Some(unsafe { slice::from_raw_parts(address as *const u8, length) })
}
