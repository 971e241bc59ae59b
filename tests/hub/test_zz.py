def test_it(stack, settings):
    print(stack, settings.kafka_bootstrap)
    stack.check()
