# Sourced: emulation_on lets the kernel run the other architecture's programs through QEMU; emulation_off undoes what it did.
emulation_mounted='' emulation_enabled=''

emulation_on() {
  local format=qemu-aarch64
  case $(uname -m) in aarch64 | arm64) format=qemu-x86_64 ;; esac
  if [ ! -e /proc/sys/fs/binfmt_misc/register ]; then
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    emulation_mounted=1
  fi
  if [ ! -e /proc/sys/fs/binfmt_misc/$format ]; then
    update-binfmts --enable $format
    emulation_enabled=$format
  fi
}

emulation_off() {
  if [ -n "$emulation_enabled" ]; then update-binfmts --disable "$emulation_enabled"; fi
  if [ -n "$emulation_mounted" ]; then umount /proc/sys/fs/binfmt_misc; fi
  emulation_mounted='' emulation_enabled=''
}
