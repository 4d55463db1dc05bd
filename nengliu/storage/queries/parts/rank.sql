indexOf([0, 1, 2, 5, 6, 4, 3], origin)
