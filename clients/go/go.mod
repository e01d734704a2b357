module github.com/rke/rke/clients/go

go 1.19
