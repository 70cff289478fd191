from benchmarks.service.run import main

main()
