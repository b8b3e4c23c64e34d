"""Several hosts on one machine: network namespaces, each with its own address, cable, processes and files."""
