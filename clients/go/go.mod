module rke

go 1.19
