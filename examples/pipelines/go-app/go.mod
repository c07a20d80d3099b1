module example.invalid/links

go 1.18
