# hardware.awk: what this machine is made of, as JSON. `-v sys=/sys -v proc=/proc -v firmware=bios`; the arguments are
# the devices below sys/block and sys/class/net that have hardware behind them. One process, where a shell would start one for
# each fact: at boot every other service waits for the same processor.

# first_line FILE: "" where it cannot be read.
function first_line(file,   text) {
  text = ""
  getline text <file
  close(file)
  return text
}

# What is not printable ASCII becomes spaces: serial numbers may hold anything, and JSON is UTF-8.
function json(text,   out, i, c) {
  text = substr(text, 1, 200)
  gsub(/[^ -~]/, " ", text)
  sub(/ +$/, "", text)
  out = ""
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    out = out (c == "\"" || c == "\\" ? "\\" : "") c
  }
  return "\"" out "\""
}

# value FILE PATTERN: what stands behind the first match of the pattern at the start of a line.
function value(file, pattern,   line, found) {
  found = ""
  while (found == "" && (getline line <file) > 0) {
    if (match(line, "^" pattern)) found = substr(line, RSTART + RLENGTH)
  }
  close(file)
  return found
}

function lines(file, pattern,   line, count) {
  count = 0
  while ((getline line <file) > 0) if (line ~ "^" pattern) count++
  close(file)
  return count
}

function name_of(path) {
  sub(/.*\//, "", path)
  return path
}

function disk(path) {
  return sprintf("{\"name\":%s,\"bytes\":%.0f,\"model\":%s}", json(name_of(path)),
    first_line(path "/size") * 512, json(first_line(path "/device/model")))
}

function nic(path,   mac) {
  # A bond lends its own address to the cards in it.
  mac = first_line(path "/bonding_slave/perm_hwaddr")
  if (mac == "") mac = first_line(path "/address")
  return sprintf("{\"name\":%s,\"mac\":%s,\"driver\":%s}", json(name_of(path)), json(mac),
    json(value(path "/device/uevent", "DRIVER=")))
}

BEGIN {
  disks = ""
  nics = ""
  for (i = 1; i < ARGC; i++) {
    if (index(ARGV[i], sys "/block/") == 1) disks = disks (disks == "" ? "" : ",") disk(ARGV[i])
    else nics = nics (nics == "" ? "" : ",") nic(ARGV[i])
  }
  dmi = sys "/class/dmi/id/"
  memory = int(value(proc "/meminfo", "MemTotal:") / 1024)
  printf "{\"cpu\":%s,\"cpus\":%d,\"memory\":%d,\"disks\":[%s],\"nics\":[%s]",
    json(value(proc "/cpuinfo", "model name[ \t]*: ")), lines(proc "/cpuinfo", "processor"), memory, disks, nics
  printf ",\"serial\":%s,\"uuid\":%s,\"product\":%s,\"firmware\":\"%s\"}",
    json(first_line(dmi "product_serial")), json(tolower(first_line(dmi "product_uuid"))),
    json(first_line(dmi "sys_vendor") " " first_line(dmi "product_name")), firmware
}
