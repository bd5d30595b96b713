def main(name="world"):
    print("greeting", name)
    return {"hello": name}
